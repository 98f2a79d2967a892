// The pages in the binary: API description, docs page, dashboard. Their sources are in http/web, and Vite's
// output is in http/web/dist. The build compresses that output and links it in (http/web/embed.cmake).
#pragma once

#include "http/wire/message.hpp"

#include <cstddef>
#include <string>
#include <string_view>

namespace llm_proxy {

/// A file of http/web/dist in the binary.
struct web_file {
  std::string_view name;
  std::string_view hash;  ///< of the uncompressed bytes
  std::string_view gzip;
  std::size_t size = 0;  ///< uncompressed, in bytes
};
extern const web_file web_files[];
extern const std::size_t web_file_count;

/// An answer with a page, its asset, or a redirect. `body` lives as long as the process: all answers share
/// it.
struct web_answer {
  response_head head;
  std::string_view body;
  std::size_t length = 0;  ///< of the body, also if a 304 leaves the body out (RFC 9110 §8.6)
};

/// Returns the answer to a GET of `request.path()`, which is a path of the route table with endpoint::page.
/// It is a 304 if the client has the current page (RFC 9110 §13.1.2), and compressed if the client accepts
/// gzip (§12.5.3).
web_answer answer_page(const request_head& request);

}  // namespace llm_proxy
