#include "http/websocket/websocket_error.hpp"

#include "http/answer/error_shape.hpp"
#include "http/answer/error_words.hpp"
#include "http/dialect/embedded_error.hpp"
#include "http/json/json_members.hpp"
#include "http/json/json_text.hpp"

#include <vector>

namespace llm_proxy {

namespace {

/// `error` is a JSON object.
std::string message_of(std::string_view stream_id, unsigned status, std::string_view error,
                       std::string_view more = {}) {
  std::string text = R"({"type":"error","status":)" + std::to_string(status) + R"(,"error":)";
  text.append(error).append(more).append("}");
  return on_lane(stream_id, text);
}

/// Returns the object in the member `error`; empty if there is none.
std::string_view object_in(const std::optional<std::vector<json_member>>& members) {
  const auto* error = members ? find_member(*members, "error") : nullptr;
  return error != nullptr && error->kind == json_token::begin_object ? error->value : std::string_view{};
}

/// Returns the HTTP status for an error that came as an event of a stream, which has none. If this service
/// wrote the error, its code is in the table of errors. Its type alone would say less: `server_error` can be
/// a 500 or a 503.
unsigned status_of(const embedded_error& error) {
  for (auto at = static_cast<unsigned>(errc::none) + 1; at <= static_cast<unsigned>(errc::internal); ++at) {
    const auto& row = describe(static_cast<errc>(at));
    if (row.source != error_source::downstream && row.name == error.code) return row.status;
  }
  return meaning_of(error).status;
}

}  // namespace

std::string on_lane(std::string_view stream_id, std::string_view message) {
  if (stream_id.empty()) return std::string{message};
  const auto begin = message.find('{') + 1;
  const auto first = message.find_first_not_of(" \t\r\n", begin);
  const bool is_empty = first != std::string_view::npos && message[first] == '}';
  // The name needs no escapes (RFC 8259 §7): it has letters, digits and "_-.".
  std::string text = R"({"stream_id":")";
  text.append(stream_id).append(is_empty ? "\"" : "\",").append(message.substr(begin));
  return text;
}

std::string websocket_error(std::string_view stream_id, const failure& reason) {
  const auto body = error_body(dialect::responses, reason);
  return message_of(stream_id, describe(reason.code).status, object_in(json_members(body)));
}

std::string websocket_error(std::string_view stream_id, unsigned status, std::string_view body,
                            std::string_view headers) {
  const auto members = json_members(body);
  std::string error{object_in(members)};
  if (error.empty()) {
    const auto made =
        error_body(dialect::responses, {status, "The request failed.", openai_error_type(status), {}, {}});
    error = object_in(json_members(made));
  }
  if (headers.empty()) return message_of(stream_id, status, error);
  // OpenAI's SDKs look for the headers in the error, Codex beside it.
  const std::string member = R"("headers":)" + std::string{headers};
  const auto inner = json_members(error);
  if (inner && !inner->empty() && find_member(*inner, "headers") == nullptr)
    error.insert(error.size() - 1, "," + member);
  return message_of(stream_id, status, error, "," + member);
}

std::string websocket_error_of_event(std::string_view stream_id, std::string_view data) {
  const auto found = find_error(data);
  const auto status = status_of(found);
  const auto members = json_members(data);
  std::string more;
  if (members) {
    if (const auto* number = find_member(*members, "sequence_number"))
      more.append(R"(,"sequence_number":)").append(number->value);
  }
  if (const auto error = object_in(members); !error.empty())
    return message_of(stream_id, status, error, more);
  const auto made =
      error_body(dialect::responses, {status, found.message, openai_error_type(status), {}, found.code});
  return message_of(stream_id, status, object_in(json_members(made)), more);
}

}  // namespace llm_proxy
