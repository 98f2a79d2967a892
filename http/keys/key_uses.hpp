// When each key's name was last used, for llm_proxy_key_last_use_seconds. The names that were used first have
// their own samples for as long as the table of keys contains them. All other names share the sample `other`,
// which has their newest use. The object is shared by all threads, and by all tables of keys that replace
// each other.
#pragma once

#include "http/telemetry/metric_labels.hpp"
#include "http/telemetry/scrape_room.hpp"

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

namespace llm_proxy {

/// The time when a name was last used, in seconds since 1970; 0 if never.
struct key_use : std::atomic<std::int64_t> {
  using std::atomic<std::int64_t>::atomic;
  std::atomic<bool> unlisted{false};  ///< was used and shares the sample `other`
};
using key_use_ptr = std::shared_ptr<key_use>;

class key_uses {
 public:
  explicit key_uses(std::shared_ptr<scrape_room> room = std::make_shared<scrape_room>(),
                    std::size_t most = most_combinations)
      : room_{std::move(room)}, most_{most} {}

  /// Records that the key `name` was used at `now`. It reads one value that all threads share and writes it
  /// at most once a second, because a write makes the other processors fetch the value again.
  void note(const std::string& name, const key_use_ptr& use, std::int64_t now);

  /// Forgets the names that a newer table does not have, which are those for which `stays` returns false.
  void keep_if(const std::function<bool(const std::string&)>& stays);

  struct last {
    std::string name;
    std::int64_t time;
  };
  /// Returns the last uses in the order in which the names were first used; `other` comes last.
  std::vector<last> all() const;

 private:
  struct entry {
    std::string name;
    key_use_ptr use;
  };
  static std::size_t bytes_of(const std::string& name);

  const std::shared_ptr<scrape_room> room_;
  const std::size_t most_;
  mutable std::mutex changing_;
  std::vector<entry> listed_;
  std::atomic<std::int64_t> others_{0};
};

}  // namespace llm_proxy
