// The connection's second half: answers, writes and closing.
#include "http/downstream/connection.hpp"
#include "http/wire/http_date.hpp"

#include <boost/asio/error.hpp>

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

namespace llm_proxy {

namespace {

constexpr auto linger_time = std::chrono::seconds{2};

void append_number(std::string& out, std::uint64_t value, int base) {
  std::array<char, 20> digits{};
  const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), value, base).ptr;
  out.append(digits.data(), static_cast<std::size_t>(end - digits.data()));
}

}  // namespace

// -- answering -----------------------------------------------------------------

void connection::start_answer(const response_head& head, body_framing framing, std::uint64_t length,
                              bool close) {
  answer_.started = true;
  const bool http_1_0 = head_->minor_version == 0;
  // RFC 9112 §6.3: these answers end with their head, whatever it says. A length in it is that of the body
  // that is left out.
  answer_.suppress_body = head_->method == "HEAD" || head.status == 204 || head.status == 304;
  // RFC 9110 §8.6: a 204 never has a content-length, and a 304 only a true one.
  const bool tells_length =
      framing == body_framing::content_length && head.status != 204 && (head.status != 304 || length > 0);
  if (answer_.suppress_body) {
    framing = body_framing::content_length;
  } else if (framing == body_framing::chunked && http_1_0) {
    framing = body_framing::until_close;
  }
  answer_.framing = framing;
  const bool body_unread = !is_read();
  const bool body_too_long =
      body_unread && std::max(head_->content_length.value_or(0), incoming_->parser.announced()) > max_discard;
  if (close || draining_ || !head_->keep_alive || framing == body_framing::until_close || body_too_long ||
      (continue_owed_ && body_unread)) {
    ending_.close_after = true;
  }
  auto& out = outbox_.end();
  out += "HTTP/1.1 ";
  append_number(out, head.status, 10);
  out += ' ';
  out += reason_phrase(head.status);
  out += "\r\n";
  append_header(out, "date", http_date_now());
  for (const auto field : head.headers) append_header(out, field.name, field.value);
  if (framing == body_framing::chunked) {
    append_header(out, "transfer-encoding", "chunked");
  } else if (tells_length) {
    out += "content-length: ";
    append_number(out, length, 10);
    out += "\r\n";
  }
  if (ending_.close_after) {
    append_header(out, "connection", "close");
  } else if (http_1_0) {
    append_header(out, "connection", "keep-alive");
  }
  out += "\r\n";
  schedule();
}

void connection::write(std::string_view bytes) {
  if (bytes.empty()) return;
  answer_.body_written += bytes.size();
  if (answer_.suppress_body) return;
  auto& out = outbox_.end();
  if (answer_.framing == body_framing::chunked) {
    append_number(out, bytes.size(), 16);
    out += "\r\n";
    out += bytes;
    out += "\r\n";
  } else {
    out += bytes;
  }
  schedule();
}

void connection::write_constant(std::string_view bytes) {
  constexpr std::size_t least = 16 * 1024;  // copying fewer bytes is cheaper than another write
  const bool framed = answer_.framing == body_framing::chunked;
  if (bytes.size() < least || framed || answer_.suppress_body || outbox_.holds_constant()) {
    write(bytes);
    return;
  }
  answer_.body_written += bytes.size();
  outbox_.add_constant(bytes);
  schedule();
}

void connection::end_answer() {
  events_ = nullptr;
  if (stage_ == stage::closed) return;
  if (answer_.framing == body_framing::chunked) outbox_.end() += "0\r\n\r\n";
  schedule();
  if (ending_.close_after || draining_) {
    finish_close();
  } else if (is_read()) {
    next_request();
    // Send now, so that the client does not wait for what its session does at its end.
    if (turn_.lone()) flush();
  } else {
    stage_ = stage::discarding;
    // If the answer took long, the body's deadline may have passed already.
    if (!read_deadline_.armed()) read_deadline_.expires_after(timeouts_.body);
    discard_body();
    start_read();
  }
}

void connection::break_answer() {
  events_ = nullptr;
  if (stage_ == stage::closed) return;
  // If the end of the connection is the end of the body, only a reset shows that the body is incomplete.
  ending_.reset_after = answer_.framing == body_framing::until_close;
  finish_close();
}

void connection::upgrade(std::shared_ptr<upgraded_connection> next) {
  events_ = nullptr;
  if (stage_ == stage::closed) return;
  stage_ = stage::upgraded;
  incoming_.reset();
  upgraded_ = std::move(next);
  const auto keep_alive_until_return = shared_from_this();
  upgraded_->begin(keep_alive_until_return, socket_, in_.view());
  in_.consume(in_.size());
  in_.shrink(0);
  if (draining_ && upgraded_) upgraded_->drain();
}

void connection::finish_close() {
  leave_idle();
  stage_ = stage::lingering;
  ending_.end_written = true;
  in_.consume(in_.size());
  read_deadline_.cancel();  // starts when all is sent
  schedule();
  start_read();
}

void connection::linger() {
  // RFC 9112 §9.6: close the sending side, then read on for a while, so that bytes still coming in do not
  // make the kernel reset the connection and destroy the answer.
  if (ending_.reset_after) {
    socket_.reset();
    close();
    return;
  }
  read_deadline_.expires_after(linger_time);
  start_read();
}

// -- writing -------------------------------------------------------------------

void connection::schedule() {
  if (std::exchange(scheduled_, true)) return;
  turn_.later(shared_from_this());
}

void connection::do_turn() {
  scheduled_ = false;
  if (stage_ == stage::closed || stage_ == stage::upgraded) return;
  const auto before = backlog();
  flush();
  if (stage_ == stage::closed) return;
  if (stage_ == stage::waiting) {
    advance();
    note_idle();
    start_read();
  } else if (events_ != nullptr && backlog() < before) {
    events_->on_sent();
  }
}

void connection::flush() {
  send_written();
  if (stage_ != stage::closed && backlog() != counted_unsent_) count_unsent(backlog());
}

void connection::count_unsent(std::size_t bytes) {
  turn_.note_unsent(counted_unsent_, bytes);
  counted_unsent_ = bytes;
}

void connection::send_written() {
  while (!waiting_writable_) {
    const auto bytes = outbox_.front();
    if (bytes.empty()) break;
    boost::system::error_code ec;
    outbox_.sent(socket_.write(bytes, {}, ec));
    if (ec == boost::asio::error::would_block) {
      waiting_writable_ = true;
      write_deadline_.expires_after(timeouts_.write);
      return;
    }
    if (ec) {
      close();
      return;
    }
  }
  if (waiting_writable_) return;
  write_deadline_.cancel();
  if (!ending_.end_written) return;
  if (!ending_.reset_after && !socket_.end_sending()) {
    waiting_writable_ = true;
    write_deadline_.expires_after(timeouts_.write);
    return;
  }
  ending_.end_written = false;
  linger();
}

// -- closing -------------------------------------------------------------------

void connection::drain() {
  draining_ = true;
  if (upgraded_) {
    upgraded_->drain();
    return;
  }
  // A request may be on its way, on a new connection as well as on a kept one. Closing at once would reset
  // it.
  if (stage_ == stage::waiting && !head_started_ && in_.empty()) read_deadline_.expires_after(drain_grace);
  if (stage_ == stage::discarding) finish_close();
}

void connection::force_end() {
  if (upgraded_) {
    upgraded_->force_end();
  } else if (events_ != nullptr) {
    events_->on_forced_end();
  } else if (stage_ != stage::lingering) {
    close();
  }
}

void connection::close() {
  if (stage_ == stage::closed) return;
  const auto keep_alive_until_return = shared_from_this();
  const bool whole = stage_ == stage::waiting && backlog() == 0;
  leave_idle();
  count_unsent(0);
  stage_ = stage::closed;
  read_deadline_.cancel();
  write_deadline_.cancel();
  if (const auto next = std::exchange(upgraded_, nullptr)) next->close();
  socket_.close(whole);
  if (auto* events = std::exchange(events_, nullptr)) events->on_client_gone();
  owner_.on_closed(keep_alive_until_return);
}

}  // namespace llm_proxy
