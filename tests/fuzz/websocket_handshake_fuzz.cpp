// Reads any bytes as the head of a request for a WebSocket. Whatever it says,
// - a key among the subprotocols is afterwards in no header but `authorization`, and is never selected
// - a head that check_upgrade() accepts has what RFC 6455 §4.2.1 demands
// - no header of the WebSocket or of the connection is in the inner requests.
#include "http/websocket/handshake.hpp"
#include "http/wire/field_lists.hpp"
#include "http/wire/message_parser.hpp"

#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>
#include <variant>

namespace {

using namespace llm_proxy;

constexpr std::string_view key_prefix = "openai-insecure-api-key.";

void expect(bool holds) {
  if (!holds) std::abort();
}

void check(const request_head& head) {
  is_own_origin(head);
  if (!asks_for_websocket(head)) return;
  auto taken = take_key_from_subprotocols(head);
  if (std::holds_alternative<failure>(taken)) return;
  const auto changed = std::get<std::shared_ptr<const request_head>>(taken);
  const auto& clean = changed ? *changed : head;
  expect(!any_list_element(clean.headers, "sec-websocket-protocol",
                           [](std::string_view each) { return istarts_with(each, key_prefix); }));
  if (!check_upgrade(clean)) {
    expect(clean.minor_version == 1 && !clean.has_body());
    expect(clean.headers.find("sec-websocket-version") == "13");
    expect(clean.headers.count("sec-websocket-key") == 1);
    expect(!selected_subprotocol(clean).starts_with(key_prefix));
  }
  const auto inner = inner_request(clean, "/v1/responses");
  for (const auto field : inner.headers) {
    expect(!istarts_with(field.name, "sec-websocket-") && !iequals(field.name, "upgrade") &&
           !iequals(field.name, "connection") && !iequals(field.name, "origin"));
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  request_parser parser;
  failure fault{.code = errc::none};
  const auto used = parser.read_head({reinterpret_cast<const char*>(data), size}, fault);
  if (used > 0 && fault.code == errc::none) check(parser.take_head());
  return 0;
}
