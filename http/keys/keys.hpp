// The keys that clients may use, and what each of them may do. A table is made once and never changed: a new
// file makes a new one.
#pragma once

#include "http/keys/key_uses.hpp"

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

/// What a name may do; all keys of that name share it. 0: no limit.
struct key_rules {
  std::string name;
  std::size_t max_concurrent = 0;   ///< requests at once
  std::uint64_t rpm = 0;            ///< requests per minute
  std::uint64_t tpm = 0;            ///< tokens per minute, prompt and completion
  std::vector<std::string> models;  ///< exact names, or beginnings with a `*` behind; empty: all
  /// When the name was last let in. Outlives tables: a newer one takes it on.
  key_use_ptr last_use;

  bool limited() const { return max_concurrent > 0 || rpm > 0 || tpm > 0; }
};
using key_rules_ptr = std::shared_ptr<const key_rules>;

struct key_entry {
  key_digest digest{};
  std::optional<std::int64_t> expires;  ///< seconds since 1970; from then on it is refused
  key_rules_ptr rules;                  ///< never null
};

struct key_table {
  std::vector<key_entry> entries;
  key_rules_ptr internal;          ///< of INTERNAL_API_KEY; never null
  std::shared_ptr<key_uses> uses;  ///< of all names, shared with the tables before and behind it; never null

  /// The entry of a key. Compares with every entry, each in constant time. nullptr if there is none.
  const key_entry* find(std::string_view key) const;
};
using key_table_ptr = std::shared_ptr<const key_table>;

/// What INTERNAL_API_KEY is called; an entry of that name gives it limits.
inline constexpr std::string_view internal_key_name = "default";

/// The key that INTERNAL_API_KEY is by default: everybody knows it.
inline constexpr std::string_view default_key = "change-me-internal-key";

/// `before`: the table that is replaced, for the last uses; may be null. `uses`: where a first table's are
/// noted; null: in a list of its own.
key_table_ptr make_key_table(std::vector<key_entry> entries, const key_table_ptr& before = nullptr,
                             std::shared_ptr<key_uses> uses = nullptr);

}  // namespace llm_proxy
