// Checks that a keys file which is accepted is JSON and makes a table of keys, and that one which is refused
// has a fault with a text.
#include "http/json/json_scanner.hpp"
#include "http/keys/keys_file.hpp"

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
  // A byte order mark before the JSON is skipped, as RFC 8259 (section 8.1) allows.
  const bool marked = text.substr(0, 3) == "\xef\xbb\xbf";
  if (!is_valid_json(text.substr(marked ? 3 : 0))) std::abort();
  const auto table = make_key_table(read.entries);
  if (table == nullptr || table->internal == nullptr) std::abort();
  return 0;
}
