// Changes to the text of a keys file: an entry more, the entries of a name less.
#pragma once

#include "http/keys/keys.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace llm_proxy {

/// An entry to be: what is absent is not written.
struct new_key_entry {
  std::string name;
  key_digest digest{};
  std::optional<std::string> expires;  ///< RFC 3339
  std::optional<std::uint64_t> max_concurrent, rpm, tpm;
  std::vector<std::string> models;
};

struct edited_keys {
  std::string json;                 ///< the new text, indented; empty where there are faults
  std::vector<std::string> faults;  ///< of the old text, or of what would have become of it
  std::size_t changed = 0;          ///< entries added or removed
  std::vector<std::string> differing =
      {};  ///< members by which a new key would differ from those of its name
};

/// `json` (empty: a new file) with an entry more. Limits and models that `entry` does not name are those of
/// the name's other entries, which share them: so a key is rotated.
edited_keys add_key(std::string_view json, const new_key_entry& entry);

/// `json` without the entries of `name`; with `sha256`, only those whose digest begins with these hexadecimal
/// digits.
edited_keys remove_keys(std::string_view json, std::string_view name, std::string_view sha256 = {});

std::string hex_of(const key_digest& digest);

}  // namespace llm_proxy
