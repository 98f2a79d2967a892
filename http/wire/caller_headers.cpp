#include "http/wire/caller_headers.hpp"

#include <algorithm>
#include <array>

namespace llm_proxy {

namespace {

constexpr std::string_view end_user_name = "x-litellm-end-user-id";
constexpr std::string_view tags_name = "x-litellm-tags";
constexpr std::array<std::string_view, 2> end_user_names{end_user_name, "x-litellm-customer-id"};
/// With these headers a client could charge its spending to somebody else.
constexpr std::array<std::string_view, 4> spending_names{end_user_name, "x-litellm-customer-id", tags_name,
                                                         "x-litellm-spend-logs-metadata"};

constexpr auto plain_chars = detail::letters_digits_and("-_.@/:");

template <class Names>
bool contains(const Names& names, std::string_view name) {
  return std::any_of(names.begin(), names.end(),
                     [name](std::string_view known) { return iequals(known, name); });
}

}  // namespace

bool caller_headers::takes(header field) {
  if (!who_.speaks_for_others) return contains(spending_names, field.name);
  if (who_.told_as == caller_header::end_user && contains(end_user_names, field.name)) {
    // LiteLLM treats an empty one as missing.
    const bool is_empty = trimmed(field.value).empty();
    client_named_user_ = client_named_user_ || !is_empty;
    return is_empty;
  }
  if (who_.told_as == caller_header::tag && iequals(field.name, tags_name)) {
    // LiteLLM reads only one line, so all tags go into ours.
    if (!trimmed(field.value).empty()) tags_.append(field.value).append(",");
    return true;
  }
  return false;
}

void caller_headers::append_to(std::string& head) const {
  if (who_.told_as == caller_header::tag) {
    append_header(head, tags_name, tags_ + caller_text(who_.key_name));
  } else if (!client_named_user_) {
    append_header(head, end_user_name, caller_text(who_.key_name));
  }
  if (!who_.address.empty()) append_header(head, "x-forwarded-for", who_.address);
}

std::string caller_text(std::string_view key_name) {
  constexpr std::string_view digits = "0123456789ABCDEF";
  std::string text;
  text.reserve(key_name.size());
  for (const char c : key_name) {
    const auto byte = static_cast<unsigned char>(c);
    if (plain_chars[byte]) {
      text += c;
    } else {
      text += '%';
      text += digits[byte / 16];
      text += digits[byte % 16];
    }
  }
  return text;
}

}  // namespace llm_proxy
