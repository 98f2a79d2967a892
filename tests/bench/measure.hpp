#pragma once
// The measurements of bench_load: a histogram of latencies, and the CPU time, memory and descriptors of other
// processes.

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <dirent.h>
#include <string>
#include <unistd.h>
#include <utility>
#include <vector>

namespace bench {

inline constexpr uint64_t second = 1'000'000'000;

/// Counts durations in nanoseconds, in buckets that are at most 0.8 % wide.
class histogram {
 public:
  void add(uint64_t ns) {
    ++counts_[index(ns)];
    ++count_;
    sum_ += ns;
    max_ = std::max(max_, ns);
  }
  uint64_t count() const { return count_; }
  double us_at(double share) const {
    if (count_ == 0) return 0;
    const auto rank = static_cast<uint64_t>(share * static_cast<double>(count_ - 1)) + 1;
    uint64_t seen = 0;
    for (size_t i = 0; i < counts_.size(); ++i) {
      seen += counts_[i];
      if (seen >= rank) return std::min(static_cast<double>(max_), middle(i)) / 1000;
    }
    return static_cast<double>(max_) / 1000;
  }
  std::string json() const {
    char text[256];
    std::snprintf(
        text, sizeof text,
        "{\"count\":%llu,\"mean\":%.2f,\"p50\":%.2f,\"p90\":%.2f,\"p99\":%.2f,\"p999\":%.2f,\"max\":%.2f}",
        static_cast<unsigned long long>(count_),
        count_ == 0 ? 0 : static_cast<double>(sum_) / static_cast<double>(count_) / 1000, us_at(0.5),
        us_at(0.9), us_at(0.99), us_at(0.999), static_cast<double>(max_) / 1000);
    return text;
  }

 private:
  static size_t index(uint64_t v) {
    if (v < 128) return static_cast<size_t>(v);
    const auto shift = static_cast<size_t>(std::bit_width(v)) - 8;
    return shift * 128 + static_cast<size_t>(v >> shift);
  }
  static double middle(size_t i) {
    if (i < 256) return static_cast<double>(i);
    const size_t shift = i / 128 - 1;
    return (static_cast<double>(i - shift * 128) + 0.5) * static_cast<double>(uint64_t{1} << shift);
  }
  std::array<uint64_t, 58 * 128> counts_{};
  uint64_t count_ = 0, sum_ = 0, max_ = 0;
};

/// Returns the CPU time of a process in ns, including threads that have ended; 0 if the process is gone.
inline uint64_t cpu_ns(pid_t pid) {
  clockid_t clock{};
  timespec t{};
  if (clock_getcpuclockid(pid, &clock) != 0 || clock_gettime(clock, &t) != 0) return 0;
  return static_cast<uint64_t>(t.tv_sec) * second + static_cast<uint64_t>(t.tv_nsec);
}

inline uint64_t cpu_ns(const std::vector<pid_t>& pids) {
  uint64_t sum = 0;
  for (const pid_t pid : pids) sum += cpu_ns(pid);
  return sum;
}

inline std::string file_text(const std::string& path) {
  std::string text;
  if (std::FILE* file = std::fopen(path.c_str(), "re")) {
    std::array<char, 4096> part{};
    while (const size_t n = std::fread(part.data(), 1, part.size(), file)) text.append(part.data(), n);
    std::fclose(file);
  }
  return text;
}

/// Returns user and system time in clock ticks (10 ms). They are precise enough only for their ratio.
inline std::pair<uint64_t, uint64_t> user_and_system_ticks(const std::vector<pid_t>& pids) {
  uint64_t user = 0;
  uint64_t system = 0;
  for (const pid_t pid : pids) {
    const std::string stat = file_text("/proc/" + std::to_string(pid) + "/stat");
    const size_t at = stat.rfind(')');
    unsigned long u = 0;
    unsigned long s = 0;
    if (at != std::string::npos &&
        std::sscanf(stat.c_str() + at + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &u, &s) ==
            2) {
      user += u;
      system += s;
    }
  }
  return {user, system};
}

/// Returns the exact resident memory in KiB, from the page tables. The counters in statm lag by some pages
/// per core.
inline uint64_t rss_kib(const std::vector<pid_t>& pids) {
  uint64_t sum = 0;
  for (const pid_t pid : pids) {
    const std::string directory = "/proc/" + std::to_string(pid);
    const std::string rollup = file_text(directory + "/smaps_rollup");
    const size_t at = rollup.find("\nRss:");
    if (at != std::string::npos) {
      sum += std::strtoull(rollup.c_str() + at + 5, nullptr, 10);
    } else {
      unsigned long pages = 0;
      if (std::sscanf(file_text(directory + "/statm").c_str(), "%*u %lu", &pages) == 1)
        sum += pages * static_cast<uint64_t>(sysconf(_SC_PAGESIZE)) / 1024;
    }
  }
  return sum;
}

inline uint64_t open_files(const std::vector<pid_t>& pids) {
  uint64_t sum = 0;
  for (const pid_t pid : pids) {
    if (DIR* directory = opendir(("/proc/" + std::to_string(pid) + "/fd").c_str())) {
      while (const dirent* entry = readdir(directory))
        if (entry->d_name[0] != '.') ++sum;
      closedir(directory);
    }
  }
  return sum;
}

struct footprint {
  uint64_t rss_kib = 0, fds = 0;
  std::string json() const {
    return "{\"rss_kib\":" + std::to_string(rss_kib) + ",\"fds\":" + std::to_string(fds) + "}";
  }
};

inline footprint footprint_of(const std::vector<pid_t>& pids) {
  return {rss_kib(pids), open_files(pids)};
}

/// The time of all cores together, in clock ticks since boot.
struct machine_ticks {
  uint64_t busy = 0;
  uint64_t stolen = 0;  // by other guests of the host
};

inline machine_ticks ticks_of_machine() {
  unsigned long user = 0, nice = 0, system = 0, idle = 0, wait = 0, irq = 0, softirq = 0, steal = 0;
  std::sscanf(file_text("/proc/stat").c_str(), "cpu %lu %lu %lu %lu %lu %lu %lu %lu", &user, &nice, &system,
              &idle, &wait, &irq, &softirq, &steal);
  return {user + nice + system + irq + softirq, steal};
}

}  // namespace bench
