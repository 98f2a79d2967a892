// Requests written byte by byte, for tests of what a client may send.
#pragma once

#include "support/catch.hpp"
#include "support/running_proxy.hpp"

#include <chrono>
#include <functional>
#include <string>
#include <string_view>
#include <thread>

namespace llm_proxy::test {

inline const std::string key_line = "x-internal-auth: " + std::string{test_key} + "\r\n";
inline const std::string get_health = "GET /health HTTP/1.1\r\nhost: x\r\n\r\n";
inline const header_list with_key{{"x-internal-auth", std::string{test_key}},
                                  {"content-type", "application/json"}};

inline constexpr milliseconds patience{10'000};

/// Returns a chat completion request with the key and a content-length. `more`: further header lines.
inline std::string chat_bytes(std::string_view body, std::string_view more = {}) {
  return "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\n" + key_line + std::string{more} +
         "content-length: " + std::to_string(body.size()) + "\r\n\r\n" + std::string{body};
}

/// The head of a chat completion request with a chunked body.
inline const std::string chunked_chat_head =
    "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\n" + key_line + "transfer-encoding: chunked\r\n\r\n";

/// Returns `body` in chunks of `size` bytes, followed by the last chunk.
inline std::string in_chunks(std::string_view body, std::size_t size) {
  std::string framed;
  char digits[20];
  for (std::size_t at = 0; at < body.size(); at += size) {
    const auto piece = body.substr(at, size);
    std::snprintf(digits, sizeof digits, "%zX\r\n", piece.size());
    framed += digits;
    framed += piece;
    framed += "\r\n";
  }
  return framed + "0\r\n\r\n";
}

/// Sends raw bytes and reads one answer.
inline response say(std::uint16_t port, std::string_view bytes) {
  raw_connection client{port};
  REQUIRE(client.send(bytes));
  return read_response(client, patience);
}

inline response chat(const proxy& service, std::string_view body) {
  return request(service.port(), "POST", "/v1/chat/completions", with_key, body);
}

/// Waits until `holds()` is true. Returns false if that takes longer than `patience`.
inline bool eventually(const std::function<bool()>& holds) {
  const auto end = test_clock::now() + patience;
  while (!holds()) {
    if (test_clock::now() > end) return false;
    std::this_thread::sleep_for(milliseconds{2});
  }
  return true;
}

/// Whether `text` contains `part`.
inline bool holds(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

}  // namespace llm_proxy::test
