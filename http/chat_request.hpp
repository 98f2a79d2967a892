// The request gate: one pass over the bytes of a chat completion request, which are judged and never
// rewritten.
#pragma once

#include "http/json_text.hpp"  // splice, json_quoted

#include <cstddef>
#include <string>
#include <string_view>
#include <variant>

namespace llm_proxy {

/// What the proxy needs to know of a chat completion request.
struct chat_request {
  std::string model;            // unescaped text of the last "model"
  std::size_t model_begin = 0;  // byte range of that value in the body, quotes included
  std::size_t model_end = 0;
  bool stream = false;
  bool include_usage = false;  // stream_options.include_usage is true
};

/// Why a body is refused; type is always `invalid_request_error`.
struct request_fault {
  int status = 400;  // 400: no JSON; 422: JSON of the wrong shape
  std::string message;
  std::string param;  // the field at fault, such as `messages[3].role`; empty: none (null on the wire)
  std::string code;
};

using checked_chat_request = std::variant<chat_request, request_fault>;

/// Judges a body by the API's rules. Malformed JSON comes before any wrong shape; of duplicate keys the last
/// counts.
checked_chat_request check_chat_request(std::string_view body);

}  // namespace llm_proxy
