// A WebSocket client for tests, made by hand so that it is independent of the service's library and can also
// send what RFC 6455 forbids.
#pragma once

#include "support/http_client.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace llm_proxy::test {

/// Returns a request for a WebSocket, with `more` headers, or in place of those of the same name.
std::string websocket_request(std::string_view target, const header_list& more);

class websocket_client {
 public:
  /// Connects, asks for a WebSocket with the key of the tests and these headers, and waits for the answer.
  explicit websocket_client(std::uint16_t port, const header_list& more = {},
                            std::string_view target = "/v1/responses");

  /// The answer to the request: 101, or why there is no WebSocket.
  const response& answer() const { return answer_; }
  bool is_open() const { return answer_.status == 101 && !close_code_ && !ended_; }

  bool send(std::string_view text) { return send_frame(text_frame, text); }
  /// Sends one frame; `final` says that its message ends with it. RFC 6455 wants a client's frames masked.
  bool send_frame(unsigned opcode, std::string_view payload, bool final = true, bool masked = true);
  /// Returns the next message, or nullopt if there is none within the time or the WebSocket was closed. Pings
  /// are answered meanwhile.
  std::optional<std::string> next(milliseconds timeout = milliseconds{5000});
  /// Reads messages until one has this text in it. Returns all of them.
  std::vector<std::string> until(std::string_view text, milliseconds timeout = milliseconds{5000});
  /// Reads on until the server closes. Returns the code of its close; 0 if there is none within the time.
  unsigned wait_for_close(milliseconds timeout = milliseconds{5000});
  /// Closes as RFC 6455 wants it, and waits for the answer.
  bool close();

  const std::string& close_reason() const { return close_reason_; }
  unsigned pings() const { return pings_; }
  raw_connection& socket() { return socket_; }

  static constexpr unsigned text_frame = 1;
  static constexpr unsigned binary_frame = 2;
  static constexpr unsigned close_frame = 8;
  static constexpr unsigned ping_frame = 9;

 private:
  bool read_frame(unsigned& opcode, std::string& payload, bool& final, milliseconds timeout);

  raw_connection socket_;
  response answer_;
  std::optional<unsigned> close_code_;
  std::string close_reason_;
  unsigned pings_ = 0;
  bool ended_ = false;  // the connection has ended
};

}  // namespace llm_proxy::test
