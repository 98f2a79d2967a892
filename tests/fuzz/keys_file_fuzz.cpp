// A keys file is either all entries or all faults, and what is accepted is JSON that makes a table of keys.
#include "http/json_scanner.hpp"
#include "http/keys_file.hpp"

#include <cstdint>
#include <cstdlib>
#include <string_view>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace llm_proxy;
  const std::string_view text{reinterpret_cast<const char*>(data), size};
  const auto read = parse_keys(text);
  if (!read.faults.empty()) {
    if (read.faults.front().empty()) std::abort();
    return 0;
  }
  if (!is_valid_json(text)) std::abort();
  const auto table = make_key_table(read.entries);
  if (table == nullptr || table->internal == nullptr) std::abort();
  return 0;
}
