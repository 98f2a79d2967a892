#include "http/system/block_cache.hpp"

#include <array>
#include <cstddef>
#include <cstdlib>
#include <malloc.h>
#include <new>

#ifdef LLM_PROXY_PLAIN_NEW  // the sanitizer has its own

namespace llm_proxy::block_cache {

void begin() {}
void clear() {}
void end() {}

}  // namespace llm_proxy::block_cache

#else

namespace {

// The sizes are those of glibc: 24 bytes, then in steps of 16. If another malloc gives a larger block, it
// counts as one of the next smaller size.
constexpr std::size_t smallest = 24;
constexpr std::size_t step = 16;
constexpr std::size_t size_count = 128;
constexpr std::size_t largest = smallest + step * (size_count - 1);
/// Most bytes kept of each size.
constexpr std::size_t max_bytes = 64 * 1024;

struct free_block {
  free_block* next;
};

struct free_list {
  free_block* first = nullptr;
  std::size_t room = 0;  // blocks that may be added; 0 in a thread that has not called begin()
};

constinit thread_local std::array<free_list, size_count> lists{};

/// Returns the index of the list whose blocks hold at least `bytes`.
std::size_t index_for(std::size_t bytes) {
  return bytes <= smallest ? 0 : (bytes - smallest + step - 1) / step;
}

constexpr std::size_t bytes_at(std::size_t index) {
  return smallest + step * index;
}

[[gnu::noinline]] void* allocate(std::size_t bytes) {
  for (;;) {
    if (auto* memory = std::malloc(bytes)) return memory;
    const auto handler = std::get_new_handler();
    if (handler == nullptr) throw std::bad_alloc{};
    handler();
  }
}

/// `index` is that of a list whose blocks are no larger than this one.
void keep_or_free(void* memory, std::size_t index) noexcept {
  auto& list = lists[index];
  if (list.room == 0) {
    std::free(memory);
    return;
  }
  --list.room;
  list.first = new (memory) free_block{list.first};
}

}  // namespace

namespace llm_proxy::block_cache {

void begin() {
  for (std::size_t i = 0; i < size_count; ++i) lists[i].room = max_bytes / bytes_at(i);
}

void clear() {
  for (auto& list : lists) {
    while (list.first != nullptr) {
      auto* block = list.first;
      list.first = block->next;
      ++list.room;
      std::free(block);
    }
  }
}

void end() {
  clear();
  for (auto& list : lists) list.room = 0;
}

}  // namespace llm_proxy::block_cache

// These replace the standard's functions ([new.delete.single]). Its functions for arrays and without
// exceptions call these.

void* operator new(std::size_t bytes) {
  if (bytes > largest) return allocate(bytes);
  const auto index = index_for(bytes);
  auto& list = lists[index];
  auto* block = list.first;
  if (block == nullptr) return allocate(bytes_at(index));
  list.first = block->next;
  ++list.room;
  return block;
}

void operator delete(void* memory, std::size_t bytes) noexcept {
  if (memory == nullptr) return;
  if (bytes > largest) {
    std::free(memory);
  } else {
    keep_or_free(memory, index_for(bytes));
  }
}

void operator delete(void* memory) noexcept {
  if (memory == nullptr) return;
  const auto bytes = malloc_usable_size(memory);
  if (bytes >= bytes_at(size_count)) {
    std::free(memory);
  } else {
    keep_or_free(memory, (bytes - smallest) / step);
  }
}

#endif
