#include "http/websocket/websocket_response.hpp"

#include <utility>

namespace llm_proxy {

void websocket_response::leave() {
  owner_ = nullptr;
  if (auto* events = std::exchange(events_, nullptr)) events->on_client_gone();
}

void websocket_response::note_sent() {
  if (events_ != nullptr && is_started_) events_->on_sent();
}

void websocket_response::force_end() {
  if (events_ != nullptr) events_->on_forced_end();
}

const failure& websocket_response::head_fault() const {
  static const failure none{.code = errc::none};
  return none;
}

void websocket_response::forget_headers() {
  auto kept = std::make_shared<request_head>();
  kept->method = head_->method;
  kept->target = head_->target;
  head_ = std::move(kept);
}

std::string websocket_response::peer_address() const {
  return owner_ != nullptr ? owner_->peer_address() : std::string{};
}

void websocket_response::read_body(std::size_t limit) {
  if (events_ == nullptr) return;
  if (body_.size() > limit)
    events_->on_body_failed({.code = errc::body_too_large});
  else
    events_->on_body(std::exchange(body_, {}));
}

void websocket_response::stream_body(std::size_t limit, std::size_t /*window*/) {
  if (events_ == nullptr) return;
  if (body_.size() > limit)
    events_->on_body_failed({.code = errc::body_too_large});
  else
    events_->on_body_part(std::exchange(body_, {}), true);
}

void websocket_response::start_answer(const response_head& head, body_framing, std::uint64_t, bool) {
  is_started_ = true;
  answer_ = head;
  const auto type = head.headers.find("content-type");
  is_stream_ = head.status < 300 && type && iequals(media_type(*type), "text/event-stream");
}

void websocket_response::write(std::string_view bytes) {
  written_ += bytes.size();
  if (!is_stream_) {
    whole_answer_ += bytes;
    return;
  }
  for (const auto& event : events_of_answer_.feed(bytes)) {
    if (owner_ != nullptr) owner_->on_event(number_, event.data);
  }
}

std::size_t websocket_response::backlog() const {
  return owner_ != nullptr ? owner_->backlog() : 0;
}

void websocket_response::end() {
  events_ = nullptr;
  auto* owner = std::exchange(owner_, nullptr);
  if (owner == nullptr) return;
  if (!is_stream_) owner->on_answer(number_, answer_, whole_answer_);
  owner->on_end(number_);
}

void websocket_response::end_without_memory() {
  auto* events = std::exchange(events_, nullptr);
  if (auto* owner = std::exchange(owner_, nullptr)) owner->on_out_of_memory();
  if (events != nullptr) events->on_client_gone();
}

}  // namespace llm_proxy
