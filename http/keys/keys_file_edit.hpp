// Changes the text of a keys file: adds an entry, or removes the entries of a name.
#pragma once

#include "http/keys/keys.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace llm_proxy {

/// An entry to add. Absent members are not written.
struct new_key_entry {
  std::string name;
  key_digest digest{};
  std::optional<std::string> expires;  ///< RFC 3339
  std::optional<std::uint64_t> max_concurrent, rpm, tpm;
  std::vector<std::string> models, routes;
};

struct edited_keys {
  std::string json;                 ///< the new text, indented; empty if there are faults
  std::vector<std::string> faults;  ///< of the old text, or of the text that the change would have produced
  std::size_t changed = 0;          ///< entries added or removed
  std::vector<std::string> differing = {};  ///< members in which a new key would differ from its name
};

/// Returns `json` (empty: a new file) with one more entry. If `entry` does not name limits, models or routes,
/// it gets those of the name's other entries, because all entries of a name share them. This is how a key is
/// rotated.
edited_keys add_key(std::string_view json, const new_key_entry& entry);

/// Returns `json` without the entries of `name`. If `sha256` is given, only the entries are removed whose
/// digest begins with these hexadecimal digits.
edited_keys remove_keys(std::string_view json, std::string_view name, std::string_view sha256 = {});

std::string hex_of(const key_digest& digest);

}  // namespace llm_proxy
