// How LiteLLM learns whose key a request came with: the headers of CALLER_TO_LITELLM.
//
// LiteLLM takes an end user from x-litellm-customer-id, then x-litellm-end-user-id, then the body's `user`
// (1.103.2, proxy/auth/auth_utils.py, get_end_user_id_from_request_body()); tags from x-litellm-tags, comma
// separated, beside those of the body; and, if its use_x_forwarded_for is on, the client's address from
// x-forwarded-for.
#pragma once

#include "http/wire/message.hpp"

#include <cstdint>
#include <string>
#include <string_view>

namespace llm_proxy {

/// Which header holds the name of the key.
enum class caller_header : std::uint8_t { none, end_user, tag };

/// The caller of a request, as LiteLLM learns it.
struct upstream_caller {
  caller_header told_as = caller_header::end_user;
  std::string key_name;
  std::string address;  ///< of the client's socket, without a port; empty if it is not known
  /// The client has INTERNAL_API_KEY, so the end users, tags and spend metadata that it names are accepted.
  bool speaks_for_others = false;
};

/// Writes the headers that name the caller of one request, in place of those that its client sent.
class caller_headers {
 public:
  explicit caller_headers(const upstream_caller& who) : who_{who} {}

  /// Looks at a field that would go upstream. Returns true if it must not be sent as it is: it is dropped, or
  /// append_to() writes its value.
  bool takes(header field);
  /// Appends the lines, after all of the client's fields have been looked at.
  void append_to(std::string& head) const;

 private:
  const upstream_caller& who_;
  std::string tags_;                // of a client that speaks for others
  bool client_named_user_ = false;  // such a client named its end user, which is kept
};

/// Returns the name of a key in a form that a header can hold and that is a single tag. Names from the keys
/// file stay as they are. Other names may come from a custom auth actor; in these each byte that is not a
/// letter, a digit or one of `- _ . @ / :` is percent-encoded (RFC 3986 §2.1).
std::string caller_text(std::string_view key_name);

}  // namespace llm_proxy
