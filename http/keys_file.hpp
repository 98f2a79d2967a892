// LLM_PROXY__INTERNAL_API_KEYS_FILE: `{"keys":[{"name","sha256","expires","max_concurrent","rpm","tpm",
// "models"}]}`. Name and sha256 must be there; what else is absent is unlimited.
#pragma once

#include "http/keys.hpp"

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

/// The same for a file; one that cannot be read is a fault.
parsed_keys read_keys_file(const std::string& path);

}  // namespace llm_proxy
