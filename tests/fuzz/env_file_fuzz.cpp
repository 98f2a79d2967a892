// Checks that a .env file of any bytes is read without a crash, and that a value which was quoted is read
// back unchanged.
#include "config/env_file.hpp"

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace llm_proxy;
  const std::string_view text{reinterpret_cast<const char*>(data), size};
  const auto read = parse_env_text(text);
  for (const auto& [name, value] : read.values) {
    if (name.empty()) std::abort();
  }
  const bool plain = std::all_of(text.begin(), text.end(), [](char c) {
    return static_cast<unsigned char>(c) >= 0x20 && c != '\'' && c != '\\' && c != 0x7f;
  });
  if (!plain) return 0;
  const auto quoted = parse_env_text("NAME='" + std::string{text} + "'\n");
  const auto at = quoted.values.find("NAME");
  if (!quoted.faults.empty() || at == quoted.values.end() || at->second != text) std::abort();
  return 0;
}
