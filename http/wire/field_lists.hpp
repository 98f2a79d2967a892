// Headers whose value is a list. It may be in one field or spread over several of the same name (RFC 9110
// §5.3).
#pragma once

#include "http/wire/message.hpp"

#include <string_view>

namespace llm_proxy {

/// Calls `found` with each element of the lists in all fields of that name (RFC 9110 §5.6.1), until it
/// returns true. Returns whether it did. Commas in quotes separate too, so it is not for lists that may have
/// quotes.
template <class Found>
bool any_list_element(const header_list& all, std::string_view name, Found found) {
  for (const auto field : all) {
    if (!iequals(field.name, name)) continue;
    for (auto rest = field.value;;) {
      const auto comma = rest.find(',');
      if (found(trimmed(rest.substr(0, comma)))) return true;
      if (comma == std::string_view::npos) break;
      rest.remove_prefix(comma + 1);
    }
  }
  return false;
}

/// True if the body has a content coding, such as gzip. The name identity stands for none (RFC 9110 §12.5.3).
inline bool is_encoded(const header_list& headers) {
  return any_list_element(headers, "content-encoding", [](std::string_view coding) {
    return !coding.empty() && !iequals(coding, "identity");
  });
}

}  // namespace llm_proxy
