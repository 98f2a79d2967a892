#include "http/telemetry/process_metrics.hpp"

#include "http/system/resident_memory.hpp"

#include <chrono>
#include <cstdint>
#include <ctime>
#include <filesystem>
#include <memory>
#include <optional>
#include <sys/resource.h>
#include <system_error>

namespace llm_proxy {

namespace {

const auto process_start = std::chrono::system_clock::now();

double seconds_of(const timeval& time) {
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
}

/// Counts the entries of /proc/self/fd, a few at a time, because 100,000 of them take tens of milliseconds.
class descriptor_count {
 public:
  bool count_some() {
    constexpr int some = 64;
    const std::filesystem::directory_iterator end;
    for (int i = 0; i < some && !failed_ && at_ != end; ++i, at_.increment(failed_)) ++open_;
    return failed_ || at_ == end;
  }
  /// Returns the number of descriptors, or nullopt if they could not be counted.
  std::optional<std::uint64_t> open() const { return failed_ ? std::nullopt : std::optional{open_}; }

 private:
  std::error_code failed_;
  std::filesystem::directory_iterator at_{"/proc/self/fd", failed_};
  std::uint64_t open_ = 0;
};

}  // namespace

void write_process_metrics(prometheus_text& text, text_steps& steps) {
  steps.add_once([&text] {
    rusage used{};
    getrusage(RUSAGE_SELF, &used);
    text.family("process_cpu_seconds_total", "counter", "User and system time.");
    text.sample({}, seconds_of(used.ru_utime) + seconds_of(used.ru_stime));
    if (const auto resident = resident_bytes()) {
      text.family("process_resident_memory_bytes", "gauge", "Memory in use (RSS).");
      text.sample({}, static_cast<std::uint64_t>(*resident));
    }
    rlimit descriptor_limit{};
    getrlimit(RLIMIT_NOFILE, &descriptor_limit);
    text.family("process_max_fds", "gauge", "Most file descriptors that may be open.");
    text.sample({}, static_cast<std::uint64_t>(descriptor_limit.rlim_cur));
    text.family("process_start_time_seconds", "gauge", "When it started, in seconds since 1970.");
    text.sample({}, std::chrono::duration<double>(process_start.time_since_epoch()).count());
  });
  const auto counting = std::make_shared<std::unique_ptr<descriptor_count>>();
  steps.add([counting] {
    if (!*counting) *counting = std::make_unique<descriptor_count>();
    return (*counting)->count_some();
  });
  steps.add_once([&text, counting] {
    if (const auto open = (*counting)->open()) {
      text.family("process_open_fds", "gauge", "Open file descriptors.");
      text.sample({}, *open);
    }
  });
}

}  // namespace llm_proxy
