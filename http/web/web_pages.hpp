// The pages that the binary carries: API description, docs page, dashboard. Their sources are in http/web,
// what Vite made of them in http/web/dist; the build compresses that and links it in (http/web/embed.cmake).
#pragma once

#include "http/wire/message.hpp"

#include <cstddef>
#include <string>
#include <string_view>

namespace llm_proxy {

/// A file of http/web/dist as the binary holds it.
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
  std::size_t length = 0;  ///< of the body, also where a 304 leaves it out (§8.6)
};

/// What a GET of `request.path()`, a path of the table with endpoint::page, is answered. A 304 where the
/// client has it (RFC 9110 §13.1.2); compressed unless the client does not take that (§12.5.3).
web_answer answer_page(const request_head& request);

}  // namespace llm_proxy
