// What frames a WebSocket takes, and with which code others end it: the cases of the Autobahn Testsuite
// (sections 1 to 7; 9 and 10 are about speed, 12 and 13 about compression, which is not offered). The service
// echoes nothing, so a message that is taken is known by its answer: an error that repeats its type.
#include "support/raw_requests.hpp"
#include "support/websocket_client.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace llm_proxy::test {

namespace {

constexpr unsigned text = websocket_client::text_frame;
constexpr unsigned binary = websocket_client::binary_frame;
constexpr unsigned ping = websocket_client::ping_frame;
constexpr unsigned pong = 10;
constexpr unsigned close = websocket_client::close_frame;
constexpr unsigned more = 0;

struct frame {
  unsigned opcode;  // with the reserved bits before it
  std::string payload;
  bool final = true;
};

struct closed_case {
  std::string_view name;
  std::vector<frame> frames;
  unsigned code;  // of the close that the server sends
};

/// Returns a JSON message of about `size` bytes.
std::string message_of(std::size_t size) {
  return R"({"type":"unknown","padding":")" + std::string(size, '*') + "\"}";
}

std::string code_bytes(unsigned code, std::string_view reason = {}) {
  std::string bytes{static_cast<char>(code >> 8U), static_cast<char>(code & 0xFFU)};
  return bytes.append(reason);
}

/// Whether the answer to one message comes next.
bool is_answered(websocket_client& client) {
  const auto answer = client.next();
  return answer && answer->find(R"("code":"unknown_message")") != std::string::npos;
}

}  // namespace

TEST_CASE("websocket frames: messages of any size, in any pieces", "[service][websocket]") {
  proxy service{mock_settings()};
  websocket_client client{service.port()};
  for (const std::size_t size : {0U, 80U, 90U, 95U, 96U, 97U, 98U, 1'000U, 65'500U, 65'510U, 1'000'000U}) {
    CAPTURE(size);
    client.send(message_of(size));
    CHECK(is_answered(client));
    client.send_frame(binary, std::string(size, '\xff'));
    CHECK(is_answered(client));
  }
  const auto message = message_of(1'000);
  for (const std::size_t piece : {1U, 7U, 100U, 999U}) {
    CAPTURE(piece);
    client.send_frame(text, "", false);
    for (std::size_t at = 0; at < message.size(); at += piece) {
      client.send_frame(more, message.substr(at, piece), false);
      if (at % 100 == 0) client.send_frame(ping, "between");
      if (at % 150 == 0) client.send_frame(pong, "unasked");
    }
    client.send_frame(more, "", true);
    CHECK(is_answered(client));
  }
  // UTF-8 that is cut between frames, and the ends of its ranges.
  const std::string words = R"({"type":"unknown","x":"Hello-µ@ßöäüàá-UTF-8!! κόσμε )"
                            "\xf4\x8f\xbf\xbf \xef\xbf\xbf \xed\x9f\xbf"
                            "\"}";
  for (std::size_t at = 1; at < words.size(); ++at) {
    client.send_frame(text, words.substr(0, at), false);
    client.send_frame(more, words.substr(at), true);
    REQUIRE(is_answered(client));
  }
  CHECK(client.close());
}

TEST_CASE("websocket frames: pings are answered with what they hold", "[service][websocket]") {
  proxy service{mock_settings()};
  websocket_client client{service.port()};
  for (const std::string& payload : {std::string{}, std::string{"Hello"}, std::string(125, '\xfe')}) {
    client.send_frame(ping, payload);
    const auto answer = client.socket().read_exactly(2 + payload.size(), patience);
    CHECK(answer.bytes == std::string{'\x8A', static_cast<char>(payload.size())} + payload);
  }
  client.send_frame(pong, "unasked");
  client.send(message_of(1));
  CHECK(is_answered(client));
}

TEST_CASE("websocket frames: what RFC 6455 forbids ends the connection with the code that says why",
          "[service][websocket]") {
  proxy service{mock_settings()};
  std::vector<closed_case> cases{
      {"a ping of 126 bytes", {{ping, std::string(126, 'x')}}, 1002},
      {"a ping in pieces", {{ping, "x", false}}, 1002},
      {"a pong in pieces", {{pong, "x", false}}, 1002},
      {"a continuation of nothing", {{more, "x"}}, 1002},
      {"a message within a message", {{text, "x", false}, {text, "y"}}, 1002},
      {"text that is no UTF-8", {{text, "\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xed\xa0\x80"}}, 1007},
      {"text that is no UTF-8, in pieces", {{text, "\xf4", false}, {more, "\x90\x80\x80"}}, 1007},
      {"text that ends within a character", {{text, "\xce"}}, 1007},
      {"an overlong form", {{text, "\xc0\xaf"}}, 1007},
      {"a close of one byte", {{close, "x"}}, 1002},
      {"a close with 126 bytes", {{close, code_bytes(1000, std::string(124, 'x'))}}, 1002},
      {"a close whose reason is no UTF-8", {{close, code_bytes(1000, "\xff")}}, 1002},
      {"a close", {{close, code_bytes(1000)}}, 1000},
      {"a close without a code", {{close, ""}}, 1000},
      {"a close with a reason", {{close, code_bytes(1000, std::string(123, 'x'))}}, 1000},
  };
  for (const unsigned opcode : {3U, 4U, 5U, 6U, 7U, 11U, 12U, 13U, 14U, 15U})
    cases.push_back({"a reserved opcode", {{opcode, ""}}, 1002});
  for (const unsigned bits : {0x10U, 0x20U, 0x40U, 0x70U}) {
    cases.push_back({"a reserved bit in a message", {{bits | text, "x"}}, 1002});
    cases.push_back({"a reserved bit in a ping", {{bits | ping, "x"}}, 1002});
    cases.push_back({"a reserved bit in a close", {{bits | close, ""}}, 1002});
  }
  for (const unsigned code : {0U, 999U, 1004U, 1005U, 1006U, 1016U, 1100U, 2000U, 2999U})
    cases.push_back({"a code that must not be sent", {{close, code_bytes(code)}}, 1002});
  for (const unsigned code :
       {1001U, 1002U, 1003U, 1007U, 1008U, 1009U, 1010U, 1011U, 3000U, 3999U, 4000U, 4999U})
    cases.push_back({"a code that may be sent", {{close, code_bytes(code)}}, code});
  for (const auto& each : cases) {
    CAPTURE(each.name, each.code, each.frames.front().opcode);
    websocket_client client{service.port()};
    for (const auto& frame : each.frames) client.send_frame(frame.opcode, frame.payload, frame.final);
    CHECK(client.wait_for_close() == each.code);
    CHECK(client.socket().wait_closed(patience) != read_end::timeout);
  }
  SECTION("a frame that is not masked") {
    websocket_client client{service.port()};
    client.send_frame(text, "{}", true, false);
    CHECK(client.wait_for_close() == 1002);
  }
}

}  // namespace llm_proxy::test
