#include "http/keys/keys_file.hpp"

#include "http/json/json_text.hpp"
#include "http/json/json_walk.hpp"
#include "http/system/regular_file.hpp"
#include "http/text/text.hpp"
#include "http/wire/rfc3339.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <map>
#include <optional>
#include <set>
#include <utility>

namespace llm_proxy {

namespace {

constexpr std::size_t longest_name = 100;
constexpr std::uint64_t most = 1'000'000'000'000;
constexpr std::string_view members = "name, sha256, expires, max_concurrent, rpm, tpm, models, routes";

/// Whether `text` can be a name. Names appear in the log and in metrics, so they must not need escaping.
bool is_name(std::string_view text) {
  return !text.empty() && text.size() <= longest_name && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           std::string_view{"-_.@/:"}.find(c) != std::string_view::npos;
  });
}

std::optional<std::string> text_of(json_token kind, std::string_view raw) {
  return kind == json_token::string ? std::optional{json_unescaped(raw)} : std::nullopt;
}

std::optional<key_digest> read_digest(std::string_view hex) {
  key_digest digest{};
  if (hex.size() != digest.size() * 2) return std::nullopt;
  for (std::size_t i = 0; i < digest.size(); ++i) {
    const auto high = hex_digit(hex[2 * i]);
    const auto low = hex_digit(hex[2 * i + 1]);
    if (high < 0 || low < 0) return std::nullopt;
    digest[i] = static_cast<unsigned char>(high * 16 + low);
  }
  return digest;
}

/// Reads one element of `keys`.
class entry_reader {
 public:
  entry_reader(std::string place, std::vector<std::string>& faults)
      : place_{std::move(place)}, faults_{faults} {}

  /// Returns nullopt if the element has faults.
  std::optional<key_entry> read(std::string_view object) {
    const auto before = faults_.size();
    for_each_member(object, [this](std::string_view member, json_token kind, std::string_view raw) {
      if (!seen_.insert(std::string{member}).second) {
        fault(member, "is given twice");
      } else {
        take(member, kind, raw);
      }
    });
    for (const char* needed : {"name", "sha256"}) {
      if (seen_.count(needed) == 0) fault(needed, "is missing");
    }
    if (faults_.size() != before) return std::nullopt;
    entry_.rules = std::make_shared<const key_rules>(std::move(rules_));
    return std::move(entry_);
  }

 private:
  void fault(std::string_view member, std::string_view what) {
    faults_.push_back(place_ + "." + std::string{member} + ": " + std::string{what});
  }

  void take(std::string_view member, json_token kind, std::string_view raw) {
    if (member == "name") {
      const auto name = text_of(kind, raw);
      if (!name || !is_name(*name))
        fault(member, "takes text of 1 to 100 letters, digits and - _ . @ / :");
      else
        rules_.name = *name;
    } else if (member == "sha256") {
      const auto digest = read_digest(text_of(kind, raw).value_or(std::string{}));
      if (!digest)
        fault(member, "takes the 64 hexadecimal digits of the key's SHA-256");
      else if (*digest == digest_of(default_key))
        fault(member, "is that of the default key, which everybody knows");
      else
        entry_.digest = *digest;
    } else if (member == "expires") {
      entry_.expires = parse_rfc3339(text_of(kind, raw).value_or(std::string{}));
      if (!entry_.expires) fault(member, "takes a time such as \"2027-01-31T23:59:59Z\" (RFC 3339)");
    } else if (member == "max_concurrent") {
      rules_.max_concurrent = static_cast<std::size_t>(number(member, kind, raw));
    } else if (member == "rpm") {
      rules_.rpm = number(member, kind, raw);
    } else if (member == "tpm") {
      rules_.tpm = number(member, kind, raw);
    } else if (member == "models") {
      read_models(member, kind, raw);
    } else if (member == "routes") {
      read_routes(member, kind, raw);
    } else {
      // A misspelt limit would otherwise mean that there is no limit.
      faults_.push_back(place_ + ": has an unknown member; it takes " + std::string{members});
    }
  }

  std::uint64_t number(std::string_view member, json_token kind, std::string_view raw) {
    const auto value =
        kind == json_token::number ? parse_number<std::uint64_t>(raw).value_or(0) : std::uint64_t{0};
    if (value == 0 || value > most)
      fault(member, "takes a whole number from 1 to 1000000000000; leave it out for no limit");
    return value;
  }

  void read_models(std::string_view member, json_token kind, std::string_view raw) {
    bool right = kind == json_token::begin_array;
    if (right) {
      for_each_element(raw, [&](json_token each, std::string_view text) {
        const auto name = text_of(each, text).value_or(std::string{});
        const auto star = name.find('*');
        right = right && !name.empty() && (star == std::string::npos || star + 1 == name.size());
        rules_.models.push_back(name);
      });
    }
    if (!right || rules_.models.empty())
      fault(member,
            "takes a list of one or more model names, each of which may end in *; leave it out for all");
  }

  void read_routes(std::string_view member, json_token kind, std::string_view raw) {
    rules_.routes = {};
    bool right = kind == json_token::begin_array;
    if (right) {
      for_each_element(raw, [&](json_token each, std::string_view text) {
        const auto group = group_named(text_of(each, text).value_or(std::string{}));
        right = right && group != route_group::none;
        if (right) rules_.routes.add(group);
      });
    }
    if (right && rules_.routes.empty()) {
      fault(member, "is an empty list, which would allow nothing; leave it out for the usual groups");
    } else if (!right) {
      fault(member, "takes a list of names of these groups: " + all_group_names() +
                        "; leave it out for the usual ones, which are those before videos");
    }
  }

  std::string place_;
  std::vector<std::string>& faults_;
  std::set<std::string> seen_;
  key_entry entry_;
  key_rules rules_;
};

bool same_rules(const key_rules& a, const key_rules& b) {
  return a.max_concurrent == b.max_concurrent && a.rpm == b.rpm && a.tpm == b.tpm && a.models == b.models &&
         a.routes == b.routes;
}

/// Adds the faults that an entry has in comparison with earlier entries.
void compare(std::size_t index, const key_entry& entry, std::map<key_digest, std::size_t>& digests,
             std::map<std::string, std::pair<std::size_t, key_rules_ptr>>& names,
             std::vector<std::string>& faults) {
  const auto place = [](std::size_t i) { return "keys[" + std::to_string(i) + "]"; };
  if (const auto [at, added] = digests.emplace(entry.digest, index); !added)
    faults.push_back(place(index) + ".sha256: is that of " + place(at->second) + " too");
  const auto [at, added] = names.emplace(entry.rules->name, std::pair{index, entry.rules});
  if (!added && !same_rules(*at->second.second, *entry.rules))
    faults.push_back(place(index) + ": has other limits, models or routes than " + place(at->second.first) +
                     ", but entries of one name share them");
}

}  // namespace

parsed_keys parse_keys(std::string_view json) {
  constexpr std::string_view shape = "is not a JSON object of the form {\"keys\":[{…}]}";
  parsed_keys out;
  std::map<key_digest, std::size_t> digests;
  std::map<std::string, std::pair<std::size_t, key_rules_ptr>> names;
  if (json.starts_with("\xef\xbb\xbf")) json.remove_prefix(3);  // the byte order mark of some editors
  if (!is_valid_json(json)) {
    out.faults.emplace_back("is not valid JSON");
    return out;
  }
  std::size_t lists = 0;
  bool right_shape =
      for_each_member(json, [&](std::string_view member, json_token kind, std::string_view raw) {
        if (member != "keys") {
          out.faults.emplace_back("has an unknown member beside \"keys\"");
          return;
        }
        if (++lists > 1) out.faults.emplace_back("keys: is given twice");
        if (kind != json_token::begin_array) {
          out.faults.emplace_back("keys: takes a list of objects");
          return;
        }
        std::size_t index = 0;
        for_each_element(raw, [&](json_token each, std::string_view object) {
          const auto place = "keys[" + std::to_string(index) + "]";
          if (each != json_token::begin_object) {
            out.faults.push_back(place + ": takes an object with " + std::string{members});
          } else if (auto entry = entry_reader{place, out.faults}.read(object)) {
            compare(index, *entry, digests, names, out.faults);
            out.entries.push_back(std::move(*entry));
          }
          ++index;
        });
      });
  if (!right_shape || lists == 0) out.faults.emplace_back(shape);
  if (!out.faults.empty()) out.entries.clear();
  return out;
}

parsed_keys read_keys_file(const std::string& path) {
  const auto file = read_regular_file(path, largest_keys_file);
  if (file.fault.empty()) return parse_keys(file.text);
  parsed_keys failed;
  failed.faults.push_back(file.fault);
  return failed;
}

}  // namespace llm_proxy
