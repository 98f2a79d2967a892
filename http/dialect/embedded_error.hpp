// Errors inside bodies and events, in the many shapes that upstreams give them.
#pragma once

#include <string>
#include <string_view>

namespace llm_proxy {

/// An upstream's error object.
struct embedded_error {
  bool present = false;     // an `error` that is null, false or "" does not count
  int status = 0;           // 400-599 as a number, or digits, in it name it; 0: nothing does
  std::string type;         // empty if there is none, or it is "None"
  std::string code;         // its spelling; empty: none
  std::string status_name;  // Google's `status` in words; empty: none
  std::string message;      // as upstream wrote it: for logs, not for clients
};

/// Reads the error that a JSON object is or holds: the member `error` (an object, another `error` inside
/// that, or a text), the same in the `response` of a response.failed, an error event of OpenAI's Responses
/// API
/// (`{"type":"error","code":…,"message":…}`), vLLM's `{"object":"error",…}`.
embedded_error find_error(std::string_view json);

/// The data of an event that is an error by its name, as find_error() reads it: `{"error":…}` around a text,
/// JSON or not, and around a bare object with a `message` or a `code`; else as it is.
std::string as_error(std::string event_data);

/// The first element of a JSON array if that is an object, else `json` itself: Google sends its errors so.
std::string_view sole_object(std::string_view json);

}  // namespace llm_proxy
