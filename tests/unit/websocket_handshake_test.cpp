#include "http/websocket/handshake.hpp"
#include "support/catch.hpp"

#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace llm_proxy {

namespace {

request_head asking(const std::vector<std::pair<std::string_view, std::string_view>>& changes = {}) {
  request_head head;
  head.method = "GET";
  head.target = "/v1/responses";
  std::vector<std::pair<std::string_view, std::string_view>> all{
      {"Host", "proxy.example"},
      {"Upgrade", "websocket"},
      {"Connection", "Upgrade"},
      {"Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="},
      {"Sec-WebSocket-Version", "13"}};
  for (const auto& change : changes) {
    std::erase_if(all, [&](const auto& each) { return iequals(each.first, change.first); });
    if (!change.second.empty()) all.push_back(change);
  }
  for (const auto& [name, value] : all) head.headers.add(name, value);
  return head;
}

std::string reason(const request_head& head) {
  const auto fault = check_upgrade(head);
  return fault ? fault->message : std::string{};
}

}  // namespace

TEST_CASE("websocket handshake: which requests ask for one, and which may have it", "[unit][websocket]") {
  CHECK(asks_for_websocket(asking()));
  CHECK(asks_for_websocket(asking({{"Upgrade", "h2c, WebSocket"}})));
  CHECK_FALSE(asks_for_websocket(asking({{"Upgrade", ""}})));
  CHECK_FALSE(asks_for_websocket(asking({{"Upgrade", "h2c"}})));
  auto posted = asking();
  posted.method = "POST";
  CHECK_FALSE(asks_for_websocket(posted));

  CHECK(reason(asking()).empty());
  CHECK(reason(asking({{"Connection", "keep-alive, upgrade"}})).empty());
  CHECK(reason(asking({{"Connection", "keep-alive"}})).find("Connection") != std::string::npos);
  CHECK(check_upgrade(asking({{"Sec-WebSocket-Version", "8"}}))->code == errc::upgrade_required);
  CHECK(check_upgrade(asking({{"Sec-WebSocket-Version", ""}}))->code == errc::upgrade_required);
  for (const std::string_view key :
       {"", "short", "dGhlIHNhbXBsZSBub25jZQ=", "dGhlIHNhbXBsZSBub25jZ!==", "dGhlIHNhbXBsZSBub25jZQ==x"}) {
    CHECK(reason(asking({{"Sec-WebSocket-Key", key}})).find("Sec-WebSocket-Key") != std::string::npos);
  }
  CHECK(reason(asking({{"Sec-WebSocket-Protocol", "a, b c"}})).find("Protocol") != std::string::npos);
  auto old = asking();
  old.minor_version = 0;
  CHECK(reason(old).find("HTTP/1.1") != std::string::npos);
  auto with_body = asking();
  with_body.content_length = 3;
  CHECK(reason(with_body).find("body") != std::string::npos);
}

TEST_CASE("websocket handshake: a key among the subprotocols is moved, and never selected",
          "[unit][websocket]") {
  const auto taken = [](const request_head& head) {
    return std::get<std::shared_ptr<const request_head>>(take_key_from_subprotocols(head));
  };
  CHECK(taken(asking()) == nullptr);
  CHECK(taken(asking({{"Sec-WebSocket-Protocol", "realtime"}})) == nullptr);

  const auto head = taken(asking({{"Sec-WebSocket-Protocol", "openai-insecure-api-key.sk-1,realtime ,x"}}));
  REQUIRE(head);
  CHECK(head->headers.find("authorization") == "Bearer sk-1");
  CHECK(head->headers.find("sec-websocket-protocol") == "realtime, x");
  CHECK(selected_subprotocol(*head) == "realtime");

  const auto odd = taken(asking({{"Sec-WebSocket-Protocol", "OpenAI-Insecure-API-Key.sk-1, realtime"}}));
  REQUIRE(odd);
  CHECK(selected_subprotocol(*odd) == "realtime");

  // A header has precedence.
  for (const std::string_view name : {"x-internal-auth", "Authorization", "x-api-key"}) {
    const auto both =
        taken(asking({{"Sec-WebSocket-Protocol", "realtime, openai-insecure-api-key.sk-1"}, {name, "own"}}));
    REQUIRE(both);
    CHECK(both->headers.find(name) == "own");
    for (const auto field : both->headers) CHECK(field.value.find("sk-1") == std::string_view::npos);
  }
  const auto alone =
      take_key_from_subprotocols(asking({{"Sec-WebSocket-Protocol", "openai-insecure-api-key.sk-1"}}));
  REQUIRE(std::holds_alternative<failure>(alone));
  CHECK(std::get<failure>(alone).message.find("second subprotocol") != std::string::npos);
  CHECK(std::get<failure>(alone).message.find("sk-1") == std::string::npos);
}

TEST_CASE("websocket handshake: only pages of this host may connect", "[unit][websocket]") {
  const auto own = [](std::string_view host, std::string_view origin) {
    return is_own_origin(asking({{"Host", host}, {"Origin", origin}}));
  };
  CHECK(is_own_origin(asking()));
  CHECK(own("proxy.example", "https://proxy.example"));
  CHECK(own("Proxy.Example:443", "https://proxy.example"));
  CHECK(own("proxy.example:8002", "http://proxy.example:8002"));
  CHECK(own("[::1]:8002", "http://[::1]:8002"));
  CHECK(own("[::1]", "http://[::1]:80"));
  CHECK_FALSE(own("proxy.example:8002", "http://proxy.example"));
  CHECK_FALSE(own("proxy.example", "https://other.example"));
  CHECK_FALSE(own("proxy.example", "https://proxy.example.evil"));
  CHECK_FALSE(own("proxy.example", "null"));
}

TEST_CASE("websocket handshake: the inner request has what concerns the client", "[unit][websocket]") {
  const auto inner = inner_request(asking({{"Authorization", "Bearer k"},
                                           {"Origin", "http://x"},
                                           {"OpenAI-Beta", "responses_websockets=2026-02-06, other=v1"},
                                           {"X-Request-Id", "one"},
                                           {"Sec-WebSocket-Protocol", "realtime"},
                                           {"Accept-Encoding", "gzip"}}),
                                   "/v1/responses");
  CHECK(inner.method == "POST");
  CHECK(inner.target == "/v1/responses");
  CHECK(inner.headers.find("authorization") == "Bearer k");
  CHECK(inner.headers.find("openai-beta") == "other=v1");
  CHECK(inner.headers.find("content-type") == "application/json");
  CHECK(inner.headers.size() == 4);
}

}  // namespace llm_proxy
