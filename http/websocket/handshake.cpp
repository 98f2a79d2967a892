#include "http/websocket/handshake.hpp"

#include "http/text/text.hpp"
#include "http/wire/field_lists.hpp"
#include "http/wire/origin.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <utility>

namespace llm_proxy {

namespace {

constexpr std::string_view protocol_field = "sec-websocket-protocol";
constexpr std::string_view beta_field = "openai-beta";
constexpr std::string_view key_prefix = "openai-insecure-api-key.";

/// Whether `text` is 16 bytes in base64, as the value of Sec-WebSocket-Key must be (RFC 6455 §4.1).
bool is_nonce(std::string_view text) {
  constexpr std::size_t size = 24;
  const auto is_base64 = [](char c) {
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || is_digit(c) || c == '+' || c == '/';
  };
  return text.size() == size && text.ends_with("==") && std::all_of(text.begin(), text.end() - 2, is_base64);
}

bool has_word(const request_head& head, std::string_view name, std::string_view word) {
  return any_list_element(head.headers, name, [&](std::string_view each) { return iequals(each, word); });
}

/// Whether a header concerns only the request that opens the WebSocket.
bool is_of_upgrade(std::string_view name) {
  constexpr std::array<std::string_view, 10> names{
      "connection",      "upgrade",          "origin",       "content-length",    "content-type",
      "accept-encoding", "content-encoding", "x-request-id", "transfer-encoding", "expect"};
  return istarts_with(name, "sec-websocket-") ||
         std::any_of(names.begin(), names.end(), [&](auto each) { return iequals(each, name); });
}

}  // namespace

bool asks_for_websocket(const request_head& head) {
  return head.method == "GET" && has_word(head, "upgrade", "websocket");
}

std::optional<failure> check_upgrade(const request_head& head) {
  const auto fault = [](std::string_view what) {
    return failure{.code = errc::bad_request, .message = std::string{what}};
  };
  if (head.minor_version == 0) return fault("A WebSocket needs HTTP/1.1.");
  if (!has_word(head, "connection", "upgrade"))
    return fault("A request for a WebSocket needs the header \"Connection: Upgrade\".");
  if (head.has_body()) return fault("A request for a WebSocket has no body.");
  const auto version = head.headers.find("sec-websocket-version");
  if (!version || *version != "13")
    return failure{.code = errc::upgrade_required, .message = "Only version 13 of WebSocket is supported."};
  const auto nonce = head.headers.find("sec-websocket-key");
  if (head.headers.count("sec-websocket-key") != 1 || !is_nonce(*nonce))
    return fault("A request for a WebSocket needs one Sec-WebSocket-Key of 16 bytes in base64.");
  const bool is_faulty =
      any_list_element(head.headers, protocol_field, [](std::string_view each) { return !is_token(each); });
  if (is_faulty) return fault("Sec-WebSocket-Protocol must be a list of names.");
  return std::nullopt;
}

std::variant<std::shared_ptr<const request_head>, failure> take_key_from_subprotocols(
    const request_head& head) {
  std::string key;
  bool has_key = false;
  std::string others;
  any_list_element(head.headers, protocol_field, [&](std::string_view each) {
    if (istarts_with(each, key_prefix)) {
      if (!std::exchange(has_key, true)) key = each.substr(key_prefix.size());
    } else {
      if (!others.empty()) others += ", ";
      others += each;
    }
    return false;
  });
  if (!has_key) return nullptr;
  if (others.empty()) {
    return failure{.code = errc::bad_request,
                   .message =
                       "A key as subprotocol needs a second subprotocol beside it, such as \"realtime\", "
                       "because the service must select one and never selects the key."};
  }
  auto changed = std::make_shared<request_head>(head);
  changed->headers.remove(protocol_field);
  changed->headers.add(protocol_field, others);
  constexpr std::array<std::string_view, 3> key_headers{"x-internal-auth", "authorization", "x-api-key"};
  const bool has_other_key = std::any_of(key_headers.begin(), key_headers.end(),
                                         [&](auto name) { return head.headers.find(name).has_value(); });
  if (!has_other_key) changed->headers.add("authorization", "Bearer " + key);
  return changed;
}

std::string_view selected_subprotocol(const request_head& head) {
  std::string_view first;
  any_list_element(head.headers, protocol_field, [&](std::string_view each) {
    first = each;
    return true;
  });
  return first;
}

bool is_own_origin(const request_head& head) {
  const auto origin = head.headers.find("origin");
  if (!origin) return true;
  const auto host = head.headers.find("host");
  if (!host || head.headers.count("origin") != 1) return false;
  const auto scheme = origin->substr(0, origin->find("://"));
  const auto page = read_origin(*origin);
  const auto own = read_origin(std::string{scheme} + "://" + std::string{*host});
  return !page.origin.empty() && page.origin == own.origin;
}

request_head inner_request(const request_head& upgrade, std::string_view path) {
  request_head inner;
  inner.method = "POST";
  inner.target = path;
  for (const auto field : upgrade.headers) {
    if (!is_of_upgrade(field.name) && !iequals(field.name, beta_field))
      inner.headers.add(field.name, field.value);
  }
  // Codex asks for the WebSocket itself as a beta feature. An upstream that is asked over HTTP need not know.
  std::string features;
  any_list_element(upgrade.headers, beta_field, [&](std::string_view each) {
    if (each.starts_with("responses_websockets=")) return false;
    if (!features.empty()) features += ", ";
    features += each;
    return false;
  });
  if (!features.empty()) inner.headers.add(beta_field, features);
  inner.headers.add("content-type", "application/json");
  return inner;
}

}  // namespace llm_proxy
