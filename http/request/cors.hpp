// Which pages of other origins may use the service, and what browsers are told so that they let them: the
// server's part of the CORS protocol (WHATWG Fetch §3.3, fetch.spec.whatwg.org/#http-cors-protocol). Browsers
// enforce it, so it protects people from pages that they visit. It does not replace the key.
#pragma once

#include "http/wire/message.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace llm_proxy {

/// Whether the list has `origin`, the value of an Origin header. The elements of the list are as
/// read_origin() returns them. `null`, and everything else that read_origin() refuses, is in no list.
bool is_listed_origin(std::string_view origin, const std::vector<std::string>& list);

/// Whether `head` is a CORS-preflight request: a browser asks on behalf of a page, without the page's key,
/// whether the page may send its request.
inline bool is_preflight(const request_head& head) {
  // Every request passes here. A string_view compares the sizes first, in line.
  return std::string_view{head.method} == "OPTIONS" && head.headers.find("access-control-request-method") &&
         head.headers.find("origin");
}

/// Returns the headers of a 204 that allows what the preflight asks for: every method that a route may have,
/// and all headers that it names. Whether the request itself is accepted is decided when it comes.
header_list allow_preflight(const request_head& preflight);

/// Adds what every answer has when the list is not empty: `vary`, and for a page of a listed origin the
/// permission to read the answer and those of its headers that is_exposed() is true for. The permission never
/// covers cookies and other credentials of the browser.
void add_cors_headers(header_list& answer, const request_head& request, const std::vector<std::string>& list);

/// Whether pages of listed origins may read the header of this name.
bool is_exposed(std::string_view name);

}  // namespace llm_proxy
