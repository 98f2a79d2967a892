// LLM_PROXY__INTERNAL_API_KEYS_FILE: `{"keys":[{"name","sha256","expires","max_concurrent","rpm","tpm",
// "models"}]}`. Name and sha256 must be there; what else is absent is unlimited.
#pragma once

#include "http/keys/keys.hpp"

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace llm_proxy {

/// The entries, or every fault of the file, each with its place: `keys[2].rpm: …`. No fault shows a value
/// that might be a key.
struct parsed_keys {
  std::vector<key_entry> entries;
  std::vector<std::string> faults;
};

parsed_keys parse_keys(std::string_view json);

/// A file of more bytes is refused: some 400,000 keys have room in it.
inline constexpr std::size_t largest_keys_file = std::size_t{64} << 20;

/// The same for a file; one that cannot be read, is no regular file or is too large is a fault.
parsed_keys read_keys_file(const std::string& path);

}  // namespace llm_proxy
