#include "http/system/resident_memory.hpp"

#include "http/system/block_cache.hpp"

#include <array>
#include <chrono>
#include <cstdio>
#include <fcntl.h>
#include <malloc.h>
#include <unistd.h>

namespace llm_proxy {

namespace {

constexpr std::int64_t look_every = 100;  // ms
constexpr std::int64_t trim_every = 1000;

/// True for only one of several threads that call at the same time.
bool is_due(std::atomic<std::int64_t>& next, std::int64_t now, std::int64_t every) {
  auto due = next.load(std::memory_order_relaxed);
  return now >= due && next.compare_exchange_strong(due, now + every, std::memory_order_relaxed);
}

}  // namespace

std::optional<std::size_t> resident_bytes(const char* statm) {
  const int file = open(statm, O_RDONLY | O_CLOEXEC);
  if (file < 0) return std::nullopt;
  std::array<char, 128> text{};
  const auto size = read(file, text.data(), text.size() - 1);
  close(file);
  unsigned long long total = 0;
  unsigned long long resident = 0;
  if (size <= 0 || std::sscanf(text.data(), "%llu %llu", &total, &resident) != 2) return std::nullopt;
  return static_cast<std::size_t>(resident) * static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
}

void return_free_memory() {
  block_cache::clear();
  malloc_trim(0);
}

bool memory_ceiling::look() {
  using namespace std::chrono;
  const auto now = duration_cast<milliseconds>(steady_clock::now().time_since_epoch()).count();
  if (is_due(next_look_, now, look_every)) {
    auto resident = resident_bytes();
    if (resident > ceiling_ && is_due(next_trim_, now, trim_every)) {
      // Some of it may be memory that was freed and not yet returned to the system. Clients must not be
      // refused for that.
      return_free_memory();
      resident = resident_bytes();
    }
    if (resident) above_.store(*resident > ceiling_, std::memory_order_relaxed);
  }
  return above_.load(std::memory_order_relaxed);
}

}  // namespace llm_proxy
