#include "http/system/block_cache.hpp"

#include "support/catch.hpp"

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <malloc.h>
#include <new>
#include <random>
#include <set>
#include <thread>
#include <vector>

using namespace llm_proxy;

namespace {

/// Runs `work` in a thread that has begun to keep blocks.
template <class Work>
void in_io_thread(Work work) {
  std::thread{[&] {
    block_cache::begin();
    work();
    block_cache::end();
  }}.join();
}

std::vector<void*> allocate(std::size_t count, std::size_t bytes) {
  std::vector<void*> blocks(count);
  for (auto& each : blocks) each = ::operator new(bytes);
  return blocks;
}

#ifndef LLM_PROXY_PLAIN_NEW
/// Returns how many bytes the process has allocated from malloc.
std::size_t in_use() {
  return mallinfo2().uordblks;
}

/// Allocates `count` blocks, frees them all, and returns how many bytes malloc got back. (glibc itself keeps
/// a few blocks of each size at hand, which count as used.)
std::size_t given_back(std::size_t count, std::size_t bytes) {
  const auto blocks = allocate(count, bytes);
  const auto full = in_use();
  for (auto* each : blocks) ::operator delete(each, bytes);
  return full - in_use();
}
#endif

struct filled {
  unsigned char* memory;
  std::size_t bytes;
  unsigned char value;

  bool is_intact() const {
    return std::all_of(memory, memory + bytes, [this](unsigned char c) { return c == value; });
  }
};

}  // namespace

TEST_CASE("block cache: no two blocks overlap, whatever their sizes and however they are freed") {
  in_io_thread([] {
    std::minstd_rand random{7};
    std::vector<filled> all;
    std::size_t wrong = 0;
    for (int i = 0; i < 100'000; ++i) {
      if (all.size() < 500 && random() % 2 == 0) {
        const std::size_t bytes = 1 + random() % 2200;  // some are too large to be kept
        const auto value = static_cast<unsigned char>(random());
        all.push_back({static_cast<unsigned char*>(::operator new(bytes)), bytes, value});
        std::memset(all.back().memory, value, bytes);
      } else if (!all.empty()) {
        std::swap(all[random() % all.size()], all.back());
        const auto block = all.back();
        all.pop_back();
        wrong += block.is_intact() ? 0 : 1;
        if (random() % 2 == 0) {
          ::operator delete(block.memory, block.bytes);
        } else {
          ::operator delete(block.memory);
        }
      }
    }
    for (const auto& each : all) {
      wrong += each.is_intact() ? 0 : 1;
      ::operator delete(each.memory, each.bytes);
    }
    CHECK(wrong == 0);
  });
}

TEST_CASE("block cache: a block may be freed by another thread") {
  std::vector<void*> blocks;
  in_io_thread([&] { blocks = allocate(100, 200); });
  in_io_thread([&] {
    for (auto* each : blocks) ::operator delete(each, 200);
    const auto again = allocate(100, 200);
    CHECK(std::set<void*>(again.begin(), again.end()).size() == 100);
    for (auto* each : again) ::operator delete(each, 200);
  });
}

// With a sanitizer the program uses the sanitizer's operator new, which keeps nothing.
#ifndef LLM_PROXY_PLAIN_NEW

TEST_CASE("block cache: keeps freed blocks, hands them out again, and returns them to malloc when told") {
  in_io_thread([] {
    constexpr std::size_t count = 50;
    constexpr std::size_t bytes = 300;
    const auto blocks = allocate(count, bytes);
    const auto full = in_use();
    for (auto* each : blocks) ::operator delete(each, bytes);
    CHECK(in_use() == full);

    auto again = allocate(count, bytes);
    CHECK(std::is_permutation(again.begin(), again.end(), blocks.begin()));
    for (auto* each : again) ::operator delete(each);
    block_cache::clear();
    CHECK(in_use() < full - (count - 10) * bytes);  // the few that glibc keeps for a thread count as used
  });
}

TEST_CASE("block cache: keeps a bounded part") {
  in_io_thread([] { CHECK(given_back(2000, 1000) > 1900 * 1000); });
}

TEST_CASE("block cache: a thread that has not called begin() keeps nothing") {
  std::thread{[] { CHECK(given_back(50, 300) > 40 * 300); }}.join();
}

#endif
