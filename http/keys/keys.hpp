// The keys that clients may use, and what each of them may do. A table never changes: a new file makes a new
// table.
#pragma once

#include "http/keys/key_uses.hpp"
#include "http/keys/route_groups.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace llm_proxy {

/// SHA-256 of a key.
using key_digest = std::array<unsigned char, 32>;
key_digest digest_of(std::string_view key);

/// What a name may do. All keys of that name share these rules. 0 means no limit.
struct key_rules {
  std::string name;
  std::size_t max_concurrent = 0;   ///< requests at once
  std::uint64_t rpm = 0;            ///< requests per minute
  std::uint64_t tpm = 0;            ///< tokens per minute, prompt and completion
  std::vector<std::string> models;  ///< exact names, or prefixes followed by `*`; empty: all
  /// The groups of routes that the keys of this name may use. INTERNAL_API_KEY may use all of them, also
  /// where an entry of its name gives it limits.
  route_groups routes = usual_groups();
  /// When the name was last used. A newer table takes it over from the table that it replaces.
  key_use_ptr last_use;

  bool limited() const { return max_concurrent > 0 || rpm > 0 || tpm > 0; }
};
using key_rules_ptr = std::shared_ptr<const key_rules>;

struct key_entry {
  key_digest digest{};
  std::optional<std::int64_t> expires;  ///< seconds since 1970; from then on the key is refused
  key_rules_ptr rules;                  ///< never null
};

struct key_table {
  std::vector<key_entry> entries;
  key_rules_ptr internal;          ///< the rules of INTERNAL_API_KEY; never null
  std::shared_ptr<key_uses> uses;  ///< of all names, shared with earlier and later tables; never null

  /// Returns the entry of a key, or nullptr if there is none. It compares the key with every entry, each in
  /// constant time.
  const key_entry* find(std::string_view key) const;
};
using key_table_ptr = std::shared_ptr<const key_table>;

/// The name of INTERNAL_API_KEY. An entry of that name gives it limits.
inline constexpr std::string_view internal_key_name = "default";

/// The default value of INTERNAL_API_KEY, which is publicly known.
inline constexpr std::string_view default_key = "change-me-internal-key";

/// `before`: the table that is replaced, whose last uses are kept; may be null. `uses`: where the first table
/// records its uses; if null, it creates its own list.
key_table_ptr make_key_table(std::vector<key_entry> entries, const key_table_ptr& before = nullptr,
                             std::shared_ptr<key_uses> uses = nullptr);

}  // namespace llm_proxy
