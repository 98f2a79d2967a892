#include "http/keys/keys.hpp"

#include <openssl/crypto.h>
#include <openssl/sha.h>

#include <unordered_map>
#include <utility>

namespace llm_proxy {

namespace {

using rules_by_name = std::unordered_map<std::string_view, key_rules_ptr>;

/// Returns the first rules of each name. The names are views, so `table` must outlive the result.
rules_by_name names_of(const key_table& table) {
  rules_by_name all;
  for (const auto& entry : table.entries) all.emplace(entry.rules->name, entry.rules);
  if (table.internal) all.emplace(table.internal->name, table.internal);
  return all;
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

key_table_ptr make_key_table(std::vector<key_entry> entries, const key_table_ptr& before,
                             std::shared_ptr<key_uses> uses) {
  auto table = std::make_shared<key_table>();
  table->uses = before ? before->uses : uses ? std::move(uses) : std::make_shared<key_uses>();
  // All entries of a name share one set of rules.
  rules_by_name known;
  const auto old = before ? names_of(*before) : rules_by_name{};
  const auto shared = [&](key_rules rules) {
    if (const auto at = known.find(rules.name); at != known.end()) return at->second;
    const auto was = old.find(rules.name);
    rules.last_use = was != old.end() ? was->second->last_use : std::make_shared<key_use>(0);
    auto fresh = std::make_shared<const key_rules>(std::move(rules));
    return known.emplace(fresh->name, fresh).first->second;
  };
  for (auto& entry : entries) {
    entry.rules = shared(*entry.rules);
    table->entries.push_back(std::move(entry));
  }
  key_rules internal;
  internal.name = internal_key_name;
  table->internal = shared(std::move(internal));
  table->uses->keep_if([&](const std::string& name) { return known.find(name) != known.end(); });
  return table;
}

}  // namespace llm_proxy
