// LLM_PROXY__INTERNAL_API_KEYS_FILE: `{"keys":[{"name","sha256","expires","max_concurrent","rpm","tpm",
// "models","routes"}]}`. `name` and `sha256` are required. A key whose entry has no `routes` may use the
// usual groups of routes (route_groups.hpp). If any other member is absent, the key does not have that limit.
#pragma once

#include "http/keys/keys.hpp"

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace llm_proxy {

/// The entries, or all faults of the file, each with its place: `keys[2].rpm: …`. A fault never contains a
/// value that might be a key.
struct parsed_keys {
  std::vector<key_entry> entries;
  std::vector<std::string> faults;
};

parsed_keys parse_keys(std::string_view json);

/// The size in bytes above which a file is refused. About 400,000 keys fit into it.
inline constexpr std::size_t largest_keys_file = std::size_t{64} << 20;

/// The same for a file. It is a fault if the file cannot be read, is not a regular file or is too large.
parsed_keys read_keys_file(const std::string& path);

}  // namespace llm_proxy
