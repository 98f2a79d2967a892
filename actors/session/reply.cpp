#include "actors/session/reply.hpp"

#include "http/answer/litellm_error.hpp"
#include "http/request/cors.hpp"
#include "http/wire/field_lists.hpp"

#include <utility>

namespace llm_proxy {

namespace {

/// Comments before a stream's first event are held back up to this size.
constexpr std::size_t most_waiting = 16 * 1024;

}  // namespace

void reply::send(unsigned status, std::string_view body, header_list headers) {
  about_->status = status;
  headers.reserve(headers.size() + 2, 0);
  add_own_headers(headers);
  to_->start_answer({status, std::move(headers)}, body_framing::content_length, body.size(), false);
  to_->write(body);
}

void reply::send_json(unsigned status, std::string_view body, header_list headers) {
  const auto type = headers.find("content-type");
  if (status != 204 && !is_encoded(headers) && (!type || !is_json_media(media_type(*type)))) {
    // Without this header SDKs return a string instead of an object.
    headers.remove("content-type");
    headers.add("content-type", "application/json");
  }
  send(status, body, std::move(headers));
}

void reply::send_head(unsigned status, header_list headers) {
  about_->status = status;
  add_own_headers(headers);
  to_->start_answer({status, std::move(headers)}, body_framing::chunked, 0, false);
}

void reply::refuse(const failure& reason, dialect speaks, header_list headers, std::string_view detail) {
  if (reason.code == errc::unauthorized) headers.add("www-authenticate", "Bearer");
  add_advice(headers, advice_for(reason.code));
  send_json(describe(reason.code).status, error_body(speaks, reason, detail), std::move(headers));
}

bool reply::hold_back(std::string_view bytes, bool has_event) {
  if (has_event || waiting_.size() + bytes.size() > most_waiting) return false;
  waiting_ += bytes;
  return true;
}

void reply::open(response_head head, bool events, std::optional<std::uint64_t> length) {
  about_->status = head.status;
  head.headers.reserve(head.headers.size() + 4, 0);
  if (events) {
    head.headers.add("cache-control", "no-cache");
    head.headers.add("x-accel-buffering", "no");
  }
  add_own_headers(head.headers);
  to_->start_answer(head, length ? body_framing::content_length : body_framing::chunked, length.value_or(0),
                    false);
  to_->write(std::exchange(waiting_, {}));
}

void reply::write_timing() {
  const auto timing = timing_of(*about_, steady_clock::now());
  to_->write(std::string{": server-timing "}.append(timing.text()).append("\n\n"));
}

void reply::add_own_headers(header_list& headers) const {
  headers.add("x-request-id", about_->id);
  if (about_->has_timing) headers.add("server-timing", timing_of(*about_, steady_clock::now()).text());
  if (origins_ != nullptr) add_cors_headers(headers, *about_->head, *origins_);
}

}  // namespace llm_proxy
