// Finds errors inside bodies and events, in the many shapes that upstreams use.
#pragma once

#include <string>
#include <string_view>

namespace llm_proxy {

/// An upstream's error object.
struct embedded_error {
  bool present = false;     // an `error` that is null, false or "" does not count
  int status = 0;           // 400-599, given in the error as a number or as digits; 0 if it has none
  std::string type;         // empty if there is none, or if it is "None"
  std::string code;         // as it is spelled; empty if there is none
  std::string status_name;  // Google's `status` in words; empty if there is none
  std::string message;      // as upstream wrote it: for logs, not for clients
};

/// Reads the error that a JSON object holds or is. It may be the member `error` (an object, another `error`
/// inside that object, or a text), the `error` object in the `response` of a response.failed, an error event
/// of OpenAI's Responses API (`{"type":"error","code":…,"message":…}`), or vLLM's `{"object":"error",…}`.
embedded_error find_error(std::string_view json);

/// Returns the data of an event whose name says that it is an error, in a form that find_error() reads. A
/// text (a JSON string or not JSON at all) and an object that has only a `message` or a `code` are wrapped in
/// `{"error":…}`. Other data is returned unchanged.
std::string as_error(std::string event_data);

/// Returns the first element of a JSON array if that element is an object, otherwise `json` itself. Google
/// sends its errors in such an array.
std::string_view sole_object(std::string_view json);

}  // namespace llm_proxy
