#include "http/websocket/responses_socket.hpp"

#include "http/downstream/connection.hpp"
#include "http/json/json_text.hpp"
#include "http/websocket/handshake.hpp"
#include "http/websocket/websocket_error.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <array>
#include <utility>

namespace llm_proxy {

namespace {

constexpr std::string_view path = "/v1/responses";

/// Headers of an error that clients of the Responses API act on. Over HTTP they are those of the answer.
bool is_told(std::string_view name) {
  constexpr std::array<std::string_view, 4> names{"x-request-id", "retry-after", "retry-after-ms",
                                                  "x-should-retry"};
  return istarts_with(name, "x-ratelimit-") || istarts_with(name, "x-llm-proxy-") ||
         std::any_of(names.begin(), names.end(), [&](auto each) { return iequals(each, name); });
}

std::string json_of(const header_list& headers) {
  std::string text;
  for (const auto field : headers) {
    if (!is_told(field.name)) continue;
    text += text.empty() ? "{" : ",";
    text += json_quoted(field.name) + ":" + json_quoted(field.value);
  }
  return text.empty() ? text : text + "}";
}

}  // namespace

responses_socket::responses_socket(std::shared_ptr<const request_head> asked, header_list answer_headers,
                                   loop_context& context, deadlines& timers,
                                   const responses_socket_options& options)
    : asked_{std::move(asked)},
      inner_{std::make_shared<const request_head>(inner_request(*asked_, path))},
      answer_headers_{std::move(answer_headers)},
      socket_{std::make_shared<websocket>(context, timers, options.socket,
                                          static_cast<websocket_events&>(*this))},
      lanes_{{options.memory, options.socket.max_message}, *this},
      lifetime_{timers, [this] { on_lifetime_over(); }} {
  lifetime_.expires_after(options.lifetime);
}

responses_socket::~responses_socket() {
  for (const auto& [number, response] : responses_) response->leave();
}

void responses_socket::begin(const std::shared_ptr<connection>& from, transport_socket& socket,
                             std::string_view read_already) {
  connection_ = from;
  socket_->accept(socket, read_already, *asked_, answer_headers_);
  asked_.reset();
  answer_headers_ = {};
}

// -- the client ------------------------------------------------------------------------------------

void responses_socket::on_message(std::string_view message, bool is_text) {
  if (is_text) {
    lanes_.take(message);
  } else {
    send(websocket_error({}, {.code = errc::unknown_message,
                              .message = "Messages must be text, with a JSON object in each."}));
  }
}

void responses_socket::on_sent() {
  for_each_response(&websocket_response::note_sent);
}

/// What is called may end its response and begin others, so each next one is looked up by its number.
void responses_socket::for_each_response(void (websocket_response::*call)()) {
  for (auto at = responses_.begin(); at != responses_.end();) {
    const auto [number, response] = *at;
    (*response.*call)();
    at = responses_.upper_bound(number);
  }
}

void responses_socket::on_closed(std::string_view why) {
  spdlog::debug("websocket: {}", why);
  lifetime_.cancel();
  lanes_.refuse({.code = errc::drained});
  for (const auto& [number, response] : std::exchange(responses_, {})) response->leave();
  if (const auto from = std::exchange(connection_, nullptr)) from->close();
}

void responses_socket::close() {
  connection_.reset();
  if (socket_->is_open()) socket_->abort("the connection was closed");
}

// -- responses -------------------------------------------------------------------------------------

void responses_socket::send(std::string&& message) {
  socket_->send(std::move(message));
}

void responses_socket::post(std::uint64_t number, std::string&& body) {
  auto response = std::make_shared<websocket_response>(number, inner_, std::move(body),
                                                       static_cast<websocket_responses&>(*this));
  responses_.emplace(number, response);
  connection_->serve(response);
}

void responses_socket::note_too_large(std::size_t bytes) {
  if (std::exchange(is_told_, true)) return;
  spdlog::warn(
      "websocket of {}: a response cannot be continued without store, because its {} bytes exceed "
      "LLM_PROXY__WEBSOCKET_MEMORY",
      peer_address(), bytes);
}

void responses_socket::on_event(std::uint64_t number, std::string_view data) {
  lanes_.take_event(number, data);
}

void responses_socket::on_answer(std::uint64_t number, const response_head& head, std::string_view body) {
  if (head.status < 300) {
    // An upstream that cannot stream answers with the whole response.
    std::string event = R"({"type":"response.completed","sequence_number":0,"response":)";
    lanes_.take_event(number, event.append(body).append("}"));
  } else {
    lanes_.take_error(number, head.status, body, json_of(head.headers));
  }
}

void responses_socket::on_end(std::uint64_t number) {
  responses_.erase(number);
  lanes_.end(number);
  close_if_idle();
}

void responses_socket::on_out_of_memory() {
  socket_->abort("no memory is left");
}

// -- the end ---------------------------------------------------------------------------------------

void responses_socket::drain() {
  if (ending_ != ending::none) return;
  ending_ = ending::drained;
  lanes_.refuse({.code = errc::drained});
  close_if_idle();
}

void responses_socket::on_lifetime_over() {
  if (ending_ != ending::none) return;
  ending_ = ending::lifetime;
  lanes_.refuse({.code = errc::websocket_connection_limit_reached});
  close_if_idle();
}

/// Responses in flight end first. A client that is told of the lifetime between two events would take its
/// response for lost.
void responses_socket::close_if_idle() {
  if (ending_ == ending::none || !lanes_.is_idle()) return;
  if (ending_ == ending::drained) {
    socket_->close(websocket_close::going_away, "the service is shutting down");
    return;
  }
  send(websocket_error({}, {.code = errc::websocket_connection_limit_reached}));
  socket_->close(websocket_close::normal, "the lifetime of the connection is over");
}

void responses_socket::force_end() {
  drain();
  for_each_response(&websocket_response::force_end);
}

}  // namespace llm_proxy
