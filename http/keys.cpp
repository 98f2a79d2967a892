#include "http/keys.hpp"

#include <openssl/crypto.h>
#include <openssl/sha.h>

#include <algorithm>
#include <utility>

namespace llm_proxy {

namespace {

/// The first rules of that name.
key_rules_ptr find_rules(const key_table& table, std::string_view name) {
  const auto at = std::find_if(table.entries.begin(), table.entries.end(),
                               [&](const key_entry& entry) { return entry.rules->name == name; });
  if (at != table.entries.end()) return at->rules;
  return table.internal && table.internal->name == name ? table.internal : nullptr;
}

}  // namespace

key_digest digest_of(std::string_view key) {
  key_digest digest{};
  SHA256(reinterpret_cast<const unsigned char*>(key.data()), key.size(), digest.data());
  return digest;
}

const key_entry* key_table::find(std::string_view key) const {
  const auto digest = digest_of(key);
  const key_entry* found = nullptr;
  for (const auto& entry : entries) {
    if (CRYPTO_memcmp(digest.data(), entry.digest.data(), digest.size()) == 0) found = &entry;
  }
  return found;
}

key_table_ptr make_key_table(std::vector<key_entry> entries, const key_table_ptr& before) {
  auto table = std::make_shared<key_table>();
  // One set of rules per name, which its entries share.
  const auto shared = [&](key_rules rules) {
    if (auto known = find_rules(*table, rules.name)) return known;
    const auto old = before ? find_rules(*before, rules.name) : nullptr;
    rules.last_use = old ? old->last_use : std::make_shared<std::atomic<std::int64_t>>(0);
    return key_rules_ptr{std::make_shared<const key_rules>(std::move(rules))};
  };
  for (auto& entry : entries) {
    entry.rules = shared(*entry.rules);
    table->entries.push_back(std::move(entry));
  }
  key_rules internal;
  internal.name = internal_key_name;
  table->internal = shared(std::move(internal));
  return table;
}

}  // namespace llm_proxy
