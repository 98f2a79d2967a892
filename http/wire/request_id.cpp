#include "http/wire/request_id.hpp"

#include <algorithm>
#include <random>

namespace llm_proxy {

std::string make_request_id() {
  // An id has to be unique, but not secret.
  thread_local std::mt19937_64 random{[] {
    std::random_device device;
    std::seed_seq seed{device(), device(), device(), device()};
    return std::mt19937_64{seed};
  }()};
  constexpr std::string_view digits = "0123456789abcdef";
  std::string id(32, '0');
  for (std::size_t i = 0; i < 32; i += 16) {
    auto bits = random();
    for (std::size_t j = 0; j < 16; ++j, bits >>= 4) id[i + j] = digits[bits & 15];
  }
  return id;
}

bool is_sane_request_id(std::string_view id) {
  const auto sane = [](char c) { return c > 0x20 && c < 0x7f && c != '"' && c != '\\' && c != '\''; };
  return !id.empty() && id.size() <= 128 && std::all_of(id.begin(), id.end(), sane);
}

}  // namespace llm_proxy
