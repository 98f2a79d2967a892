// The rules of the admission actor: which request is served now, which one waits and which one is refused.
// They take the time as a parameter.
//
// A request needs a token of its key's rpm and an unspent tpm; a request that asks no model for anything,
// such as a count of tokens, needs neither. Then it needs a slot of its key (max_concurrent) and of the
// service (MAX_CONCURRENT_REQUESTS). Without a slot it waits in the queue of its key, if that has room. Keys
// take turns for free slots; within a key the oldest request comes first.
#pragma once

#include "actors/access/token_bucket.hpp"
#include "actors/messages/admission_options.hpp"
#include "http/keys/keys.hpp"
#include "http/wire/errc.hpp"
#include "http/wire/message.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

namespace llm_proxy {

/// Remembers when slots came free lately, and estimates when the next ones will.
class departures {
 public:
  void add(steady_clock::time_point now);
  /// Returns in how many seconds `count` more slots are likely to come free: 1 to 60.
  std::chrono::seconds expected(std::size_t count, steady_clock::time_point now) const;

 private:
  std::deque<steady_clock::time_point> recent_;
};

class admission_book {
 public:
  using time_point = steady_clock::time_point;
  using ticket = std::uint64_t;  ///< names a request

  enum class answer : std::uint8_t { granted, queued, refused };
  struct decision {
    answer what = answer::granted;
    failure fault{.code = errc::none};
    header_list headers;  ///< of a refusal: retry-after, x-ratelimit-*
  };

  explicit admission_book(admission_options options = {}) : options_{options} {}

  /// Sets other limits. Call admit() afterwards.
  void use(admission_options options) { options_ = options; }

  decision ask(ticket who, const key_rules_ptr& rules, time_point now,
               request_cost cost = request_cost::full);
  /// A slot of that key came back. Call admit() afterwards.
  void freed(const std::string& name, time_point now);
  /// The request no longer waits. An unknown ticket is ignored. Call admit() afterwards.
  void leave(ticket who, time_point now);
  /// A request of that key has cost this many tokens.
  void spent(const key_rules_ptr& rules, std::uint64_t tokens, time_point now);

  struct admitted {
    ticket who;
    key_rules_ptr rules;
  };
  /// Grants free slots to requests that wait, and returns those.
  std::vector<admitted> admit();
  /// Removes the requests that have waited too long, and returns their refusals.
  std::vector<std::pair<ticket, decision>> expire(time_point now);
  /// Returns when expire() will next have something to do.
  std::optional<time_point> next_expiry() const;

  std::size_t in_use() const { return in_use_; }
  std::size_t waiting() const { return waiting_by_ticket_.size(); }

 private:
  struct waiter {
    ticket who;
    time_point since;
    request_cost cost;
  };
  struct key_state {
    key_rules_ptr rules;
    std::size_t in_use = 0;
    std::deque<waiter> waiting;
    token_bucket requests;
    token_bucket tokens;
    departures freed;

    bool is_full() const { return rules->max_concurrent > 0 && in_use >= rules->max_concurrent; }
  };

  key_state& state_of(const key_rules_ptr& rules, time_point now);
  bool is_full() const { return options_.max_concurrent > 0 && in_use_ >= options_.max_concurrent; }
  decision refuse_rate(key_state& key, bool by_requests, time_point now);
  decision refuse_slot(key_state& key, std::string detail, time_point now);
  void forget(key_state& key, std::deque<waiter>::iterator which, time_point now);
  void take_slot(key_state& key);

  admission_options options_;
  std::map<std::string, key_state, std::less<>> keys_;
  std::deque<key_state*> turn_;  // keys with waiters; the next one to get a slot is in front
  std::unordered_map<ticket, key_state*> waiting_by_ticket_;
  std::size_t in_use_ = 0;
  departures freed_;
};

}  // namespace llm_proxy
