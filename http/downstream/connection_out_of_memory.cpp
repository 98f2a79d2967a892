// What a connection does when an allocation fails: its client gets an answer that needs no memory, instead of
// silence until a deadline.
#include "http/downstream/connection.hpp"

#include <new>
#include <string_view>
#include <utility>

namespace llm_proxy {

namespace {

/// Its body has the shape of both dialects: Anthropic's SDK looks for the outer "type", OpenAI's for "error".
constexpr std::string_view answer =
    "HTTP/1.1 503 Service Unavailable\r\n"
    "content-type: application/json\r\n"
    "x-llm-proxy-error-source: proxy\r\n"
    "x-should-retry: true\r\n"
    "connection: close\r\n"
    "content-length: 131\r\n"
    "\r\n"
    R"({"type":"error","error":{"message":"The service has no memory left.","type":"server_error","param":null,"code":"out_of_resources"}})";
static_assert(answer.size() - answer.find("\r\n\r\n") - 4 == 131);

}  // namespace

void connection::on_ready(readiness now) {
  const auto self = shared_from_this();
  try {
    act_on(now);
  } catch (const std::bad_alloc&) {
    on_out_of_memory();
    throw;  // so that the thread logs it
  }
}

void connection::run_turn() {
  try {
    do_turn();
  } catch (const std::bad_alloc&) {
    on_out_of_memory();
    throw;
  }
}

void connection::on_out_of_memory() {
  if (stage_ == stage::receiving && events_ != nullptr) {
    // The body is most likely what took too much memory.
    incoming_->body = {};
    stage_ = stage::deciding;
    ending_.close_after = true;
    try {
      events_->on_body_failed({.code = errc::out_of_resources, .message = "The service has no memory left."});
      return;
    } catch (const std::exception&) {
      // There is no memory for this answer either.
    }
  }
  end_without_memory();
}

void connection::end_without_memory() {
  if (stage_ == stage::closed) return;
  if (stage_ == stage::upgraded) {
    close();
    return;
  }
  const bool asked = stage_ != stage::lingering && (stage_ != stage::waiting || head_started_);
  const bool can_tell = asked && !answer_.started && backlog() == 0 && !socket_.wants_handshake();
  auto* events = std::exchange(events_, nullptr);
  if (can_tell) {
    answer_.started = true;
    boost::system::error_code ec;  // ignored, because the connection closes in any case
    socket_.write(answer, {}, ec);
  }
  try {
    can_tell ? finish_close() : close();
  } catch (const std::bad_alloc&) {
    close();
  }
  if (events != nullptr) events->on_client_gone();
}

}  // namespace llm_proxy
