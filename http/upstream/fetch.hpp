// One HTTP request of a process that does nothing else: the commands that ask a running service.
#pragma once

#include "http/wire/message.hpp"

#include <chrono>
#include <functional>
#include <string>
#include <string_view>

namespace llm_proxy {

/// Whom an https address has to be vouched for by.
struct fetch_trust {
  std::string ca_file;  ///< PEM; empty: the system's authorities
  bool nobody = false;  ///< taken as it is: for a service on this machine, whose certificate has another name
};

struct fetch_request {
  std::string method = "GET";
  std::string url;         ///< http(s)://host[:port][/path]
  std::string path = "/";  ///< behind the url's own path
  header_list headers = {};
  std::string body = {};
  fetch_trust trust = {};
  std::chrono::milliseconds connect_timeout{5000};  ///< name look-up and TLS included
  std::chrono::milliseconds idle_timeout{0};        ///< between two pieces of the answer; 0: none
};

/// What came of it.
struct fetch_result {
  unsigned status = 0;     ///< 0: there was no answer
  std::string fault;       ///< why there was none, or not all of it; empty: it is whole
  bool connected = false;  ///< somebody listens there
};

/// Asks and waits. The body's bytes come to `on_body` as they arrive, its framing removed.
fetch_result fetch(const fetch_request& request,
                   const std::function<void(unsigned status, std::string_view bytes)>& on_body);

}  // namespace llm_proxy
