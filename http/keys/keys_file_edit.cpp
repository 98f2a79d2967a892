#include "http/keys/keys_file_edit.hpp"

#include "http/keys/keys_file.hpp"
#include "http/wire/message.hpp"

#include <rapidjson/document.h>
#include <rapidjson/prettywriter.h>
#include <rapidjson/stringbuffer.h>

#include <array>

namespace llm_proxy {

namespace {

using rapidjson::Document;
using rapidjson::Value;

Value text_value(std::string_view text, Document& in) {
  return Value{text.data(), static_cast<rapidjson::SizeType>(text.size()), in.GetAllocator()};
}

std::string_view text_of(const Value& object, const char* member) {
  const auto at = object.FindMember(member);
  return {at->value.GetString(), at->value.GetStringLength()};
}

/// Parses the file into `file` if it has no faults, and returns the faults.
std::vector<std::string> load(std::string_view json, Document& file) {
  if (json.empty()) json = R"({"keys":[]})";
  if (json.starts_with("\xef\xbb\xbf")) json.remove_prefix(3);
  auto faults = parse_keys(json).faults;
  if (faults.empty()) file.Parse(json.data(), json.size());
  return faults;
}

/// Writes the file and parses the result again, so that the returned text is always one that the service
/// accepts.
edited_keys written(const Document& file, std::size_t changed) {
  rapidjson::StringBuffer text;
  rapidjson::PrettyWriter<rapidjson::StringBuffer> writer{text};
  writer.SetIndent(' ', 2);
  file.Accept(writer);
  edited_keys out;
  out.json.assign(text.GetString(), text.GetSize());
  out.json += '\n';
  out.faults = parse_keys(out.json).faults;
  out.changed = changed;
  if (!out.faults.empty()) out.json.clear();
  return out;
}

const Value* find_name(const Value& keys, std::string_view name) {
  for (const auto& each : keys.GetArray()) {
    if (text_of(each, "name") == name) return &each;
  }
  return nullptr;
}

}  // namespace

std::string hex_of(const key_digest& digest) {
  constexpr std::string_view digits = "0123456789abcdef";
  std::string text;
  for (const auto byte : digest) {
    text += digits[byte >> 4];
    text += digits[byte & 15];
  }
  return text;
}

edited_keys add_key(std::string_view json, const new_key_entry& entry) {
  Document file;
  if (auto faults = load(json, file); !faults.empty()) return {{}, std::move(faults), 0};
  auto& keys = file["keys"];
  auto& memory = file.GetAllocator();
  Value added{rapidjson::kObjectType};
  added.AddMember("name", text_value(entry.name, file), memory);
  added.AddMember("sha256", text_value(hex_of(entry.digest), file), memory);
  if (entry.expires) added.AddMember("expires", text_value(*entry.expires, file), memory);
  if (entry.max_concurrent) added.AddMember("max_concurrent", *entry.max_concurrent, memory);
  if (entry.rpm) added.AddMember("rpm", *entry.rpm, memory);
  if (entry.tpm) added.AddMember("tpm", *entry.tpm, memory);
  const auto add_list = [&](const char* member, const std::vector<std::string>& names) {
    if (names.empty()) return;
    Value list{rapidjson::kArrayType};
    for (const auto& each : names) list.PushBack(text_value(each, file), memory);
    added.AddMember(rapidjson::StringRef(member), list, memory);
  };
  add_list("models", entry.models);
  add_list("routes", entry.routes);
  if (const auto* other = find_name(keys, entry.name)) {
    edited_keys refused;
    for (const char* shared : {"max_concurrent", "rpm", "tpm", "models", "routes"}) {
      const bool had = other->HasMember(shared);
      if (added.HasMember(shared)) {
        if (!had || (*other)[shared] != added[shared]) refused.differing.emplace_back(shared);
      } else if (had) {
        added.AddMember(rapidjson::StringRef(shared), Value{(*other)[shared], memory}, memory);
      }
    }
    if (!refused.differing.empty()) return refused;
  }
  keys.PushBack(added, memory);
  return written(file, 1);
}

edited_keys remove_keys(std::string_view json, std::string_view name, std::string_view sha256) {
  Document file;
  if (auto faults = load(json, file); !faults.empty()) return {{}, std::move(faults), 0};
  auto& keys = file["keys"];
  const auto before = keys.Size();
  for (auto at = keys.Begin(); at != keys.End();) {
    const bool meant = text_of(*at, "name") == name && istarts_with(text_of(*at, "sha256"), sha256);
    at = meant ? keys.Erase(at) : at + 1;
  }
  return written(file, before - keys.Size());
}

}  // namespace llm_proxy
