// One HTTP request, for processes that do nothing else meanwhile: the commands that query a running service.
#pragma once

#include "http/wire/message.hpp"

#include <chrono>
#include <functional>
#include <string>
#include <string_view>

namespace llm_proxy {

/// Who must have signed the certificate of an https address.
struct fetch_trust {
  std::string ca_file;  ///< PEM; empty for the system's authorities
  bool nobody = false;  ///< no check: for a service on this machine, whose certificate has another name
};

struct fetch_request {
  std::string method = "GET";
  std::string url;         ///< http(s)://host[:port][/path]
  std::string path = "/";  ///< appended to the url's own path
  header_list headers = {};
  std::string body = {};
  fetch_trust trust = {};
  std::chrono::milliseconds connect_timeout{5000};  ///< for look-up, connection and TLS together
  std::chrono::milliseconds idle_timeout{0};        ///< between two pieces of the answer; 0 = no limit
};

/// How the request ended.
struct fetch_result {
  unsigned status = 0;     ///< 0 if there was no answer
  std::string fault;       ///< why there is no answer, or not all of it; empty if it is complete
  bool connected = false;  ///< a connection was made
};

/// Sends the request and waits for the answer. Passes the body's bytes to `on_body` as they arrive, without
/// their framing.
fetch_result fetch(const fetch_request& request,
                   const std::function<void(unsigned status, std::string_view bytes)>& on_body);

}  // namespace llm_proxy
