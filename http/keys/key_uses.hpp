// When each key's name was last let in, for llm_proxy_key_last_use_seconds. The names used first have a
// sample of their own, as long as a table of keys has them; the newest use of all others is that of `other`.
// Shared by all threads and by all tables of keys that follow each other.
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

/// Second since 1970 in which a name was last let in; 0: never.
struct key_use : std::atomic<std::int64_t> {
  using std::atomic<std::int64_t>::atomic;
  std::atomic<bool> unlisted{false};  ///< used, and among those that share `other`
};
using key_use_ptr = std::shared_ptr<key_use>;

class key_uses {
 public:
  explicit key_uses(std::shared_ptr<scrape_room> room = std::make_shared<scrape_room>(),
                    std::size_t most = most_combinations)
      : room_{std::move(room)}, most_{most} {}

  /// Notes that the key `name` was let in at `now`. Reads one value that all threads share, and writes it
  /// at most once a second, since a write makes the other threads' processors fetch it again.
  void note(const std::string& name, const key_use_ptr& use, std::int64_t now);

  /// A newer table has these names: others are forgotten.
  void keep_if(const std::function<bool(const std::string&)>& stays);

  struct last {
    std::string name;
    std::int64_t time;
  };
  /// In the order in which they were used first, `other` behind them.
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
