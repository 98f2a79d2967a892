#include "http/downstream/connection.hpp"

#include <boost/asio/error.hpp>

#include <algorithm>
#include <utility>

namespace llm_proxy {

namespace {

constexpr std::size_t largest_read = 64 * 1024;
constexpr std::size_t max_pipelined = 64 * 1024;   // bytes read ahead of the request being served
constexpr std::size_t first_reserve = 256 * 1024;  // for a body
constexpr std::size_t body_edit_room = 256;        // so that a longer model name reallocates no large body

/// The answer to plain HTTP on a TLS port. No head was read, so no session can answer.
constexpr std::string_view plain_http_refusal =
    "HTTP/1.1 400 Bad Request\r\ncontent-type: application/json\r\ncontent-length: 124\r\n"
    "connection: close\r\n\r\n"
    R"({"error":{"message":"This port speaks TLS: use https://.",)"
    R"("type":"invalid_request_error","param":null,"code":"bad_request"}})";

}  // namespace

connection::connection(owned_descriptor socket, reactor& sockets_of_thread, turn& turn_of_thread,
                       deadlines& deadlines_of_thread, const connection_timeouts& timeouts,
                       connection_owner& owner, SSL_CTX* tls)
    : counted_{sockets_of_thread},
      socket_{sockets_of_thread},
      turn_{turn_of_thread},
      outbox_{turn_of_thread},
      timeouts_{timeouts},
      owner_{owner},
      read_deadline_{deadlines_of_thread, [this] { on_read_deadline(); }},
      write_deadline_{deadlines_of_thread, [this] { close(); }} {
  socket_.open(socket.release(), *this);
  if (tls != nullptr) socket_.start_tls(*tls, tls_side::server);
}

void connection::start() {
  read_deadline_.expires_after(timeouts_.first_request());
  note_idle();
}

void connection::shake_hands() {
  boost::system::error_code ec;
  if (!socket_.shake_hands(ec)) return;
  if (!ec) {
    read_deadline_.expires_after(draining_ ? drain_grace : timeouts_.first_request());
    start_read();
    return;
  }
  owner_.on_handshake_failed(socket_.tls()->reason());
  const bool plain_http = socket_.tls()->was_plain_http();
  // The rest is as after any refusal: if we did not read on, the kernel would reset the connection and
  // destroy the answer.
  socket_.stop_tls();
  if (plain_http) outbox_.end() += plain_http_refusal;
  finish_close();
}

// -- reading -------------------------------------------------------------------

void connection::act_on(readiness now) {
  socket_.note(now);
  if (socket_.wants_handshake()) {
    shake_hands();
    return;
  }
  if (now.writable && std::exchange(waiting_writable_, false)) {
    do_turn();
    restart_idle_time();
  }
  if (socket_.readable() && wants_read()) read_some();
}

/// Returns false if there was nothing to read, not even the end of the connection.
bool connection::read_some() {
  boost::system::error_code ec;
  socket_.read(in_, largest_read, ec);
  const bool came = ec != boost::asio::error::would_block;
  if (came) on_read(ec);
  in_.keep();
  start_read();
  return came;
}

/// A connection also reads while its client waits for an answer: this is how a client that leaves is noticed.
bool connection::wants_read() const {
  if (stage_ == stage::closed || stage_ == stage::upgraded) return false;
  if (stage_ == stage::receiving) return !incoming_->in_parts || incoming_->window > 0;
  return stage_ == stage::lingering || in_.size() < max_pipelined;
}

void connection::start_read() {
  if (wants_read()) socket_.look_again();
}

void connection::on_read(const boost::system::error_code& ec) {
  if (ec == boost::asio::error::eof && stage_ == stage::lingering && backlog() > 0) {
    return;  // the client has only closed its sending side and still wants the rest of the answer
  }
  if (ec) {
    close();
    return;
  }
  if (stage_ == stage::lingering) in_.consume(in_.size());
  advance();
}

void connection::advance() {
  if (stage_ == stage::waiting) read_next_head();
  if (stage_ == stage::receiving) receive_body();
  if (stage_ == stage::discarding) discard_body();
}

void connection::read_next_head() {
  if (in_.empty() || backlog() > max_unsent || outbox_.holds_constant()) return;
  if (!incoming_) incoming_ = std::make_unique<incoming>();
  failure fault{.code = errc::none};
  const auto used = incoming_->parser.read_head(in_.view(), fault);
  if (fault.code != errc::none) {
    refuse_head(std::move(fault));
    return;
  }
  if (used == 0) {
    // A head's time limit runs from its first byte, not from its last. That of the first head already runs.
    if (!std::exchange(head_started_, true)) {
      const bool runs = !used_ && !draining_ && read_deadline_.armed() && timeouts_.head.count() > 0;
      if (!runs) read_deadline_.expires_after(timeouts_.head);
      // A partial head counts as a request only if it has a deadline. Otherwise anybody could hold the
      // connection with one.
      if (timeouts_.head.count() > 0) leave_idle();
    }
    return;
  }
  leave_idle();
  used_ = true;
  in_.consume(used);
  head_ = std::make_shared<const request_head>(incoming_->parser.take_head());
  continue_owed_ = head_->expects_continue && !is_read();
  stage_ = stage::deciding;
  read_deadline_.expires_after(is_read() ? std::chrono::milliseconds{0} : timeouts_.body);
  owner_.on_request(shared_from_this());
}

void connection::refuse_head(failure fault) {
  leave_idle();
  used_ = true;
  // The head is invalid, so nobody knows where this request ends. The bytes that follow could be read as a
  // request that nobody sent, so the connection ends with the answer.
  request_head unread;
  unread.keep_alive = false;
  head_ = std::make_shared<const request_head>(std::move(unread));
  head_fault_ = std::make_unique<const failure>(std::move(fault));
  stage_ = stage::deciding;
  read_deadline_.cancel();
  owner_.on_request(shared_from_this());
}

const failure& connection::head_fault() const {
  static const failure none{.code = errc::none};
  return head_fault_ ? *head_fault_ : none;
}

void connection::forget_headers() {
  request_head kept;
  kept.method = head_->method;
  kept.target = head_->target;
  kept.minor_version = head_->minor_version;
  kept.keep_alive = head_->keep_alive;
  head_ = std::make_shared<const request_head>(std::move(kept));
}

void connection::read_body(std::size_t limit) {
  begin_body(limit);
}

void connection::stream_body(std::size_t limit, std::size_t window) {
  incoming_->in_parts = true;
  incoming_->window = window;
  begin_body(limit);
}

void connection::restart_body_time() {
  if (stage_ == stage::deciding && !is_read()) read_deadline_.expires_after(timeouts_.body);
}

void connection::take_more(std::size_t bytes) {
  if (incoming_) incoming_->window += bytes;
  start_read();
}

void connection::begin_body(std::size_t limit) {
  incoming_->limit = limit;
  stage_ = stage::receiving;
  if (continue_owed_ && in_.empty()) {
    outbox_.end() += "HTTP/1.1 100 Continue\r\n\r\n";
    schedule();
  }
  continue_owed_ = false;
  receive_body();
  start_read();
}

/// The length is only what the client says, so memory is reserved as the bytes come, not before. The whole
/// length is reserved when an eighth of it has arrived, so that hardly more than an eighth is ever copied at
/// once.
void connection::reserve_body() {
  if (!head_->content_length) return;
  auto& body = incoming_->body;
  const auto length =
      static_cast<std::size_t>(std::min<std::uint64_t>(*head_->content_length, incoming_->limit));
  if (body.empty()) {
    body.reserve(std::min(length, first_reserve));
  } else if (body.capacity() < length && body.size() >= length / 8) {
    body.reserve(length + body_edit_room);
  }
}

void connection::receive_body() {
  auto& request = *incoming_;
  if (!request.in_parts) reserve_body();
  failure fault{.code = errc::none};
  const auto before = request.body.size();
  in_.consume(request.parser.read_body(in_.view(), request.body, fault));
  request.read += request.body.size() - before;
  // A chunk whose announced size exceeds the limit is refused before its bytes arrive.
  if (request.read + request.parser.announced() > request.limit) fault = {.code = errc::body_too_large};
  if (fault.code != errc::none) {
    if (fault.code == errc::bad_request) ending_.close_after = true;
    stage_ = stage::deciding;
    request.body = {};
    if (events_ != nullptr) events_->on_body_failed(fault);
    return;
  }
  if (request.in_parts) {
    pass_body_part();
  } else if (!is_read()) {
    if (events_ != nullptr && request.body.size() > before) events_->on_body_grown(request.body);
  } else {
    auto body = std::move(request.body);
    end_reading();
    in_.shrink(0);
    if (events_ != nullptr) events_->on_body(std::move(body));
  }
}

void connection::pass_body_part() {
  const bool last = is_read();
  auto part = std::exchange(incoming_->body, {});
  if (part.empty() && !last) return;
  if (last) {
    end_reading();
  } else {
    incoming_->window -= std::min(incoming_->window, part.size());
  }
  if (events_ != nullptr) events_->on_body_part(std::move(part), last);
}

void connection::end_reading() {
  incoming_.reset();
  stage_ = stage::serving;
  read_deadline_.cancel();
}

void connection::discard_body() {
  failure fault{.code = errc::none};
  std::string dropped;
  if (incoming_) in_.consume(incoming_->parser.read_body(in_.view(), dropped, fault));
  discarded_ += dropped.size();
  const auto announced = incoming_ ? incoming_->parser.announced() : 0;
  if (fault.code != errc::none || discarded_ > max_discard || announced > max_discard - discarded_) {
    finish_close();
  } else if (is_read()) {
    next_request();
  }
}

void connection::next_request() {
  stage_ = stage::waiting;
  incoming_.reset();
  head_started_ = false;
  discarded_ = 0;
  answer_ = {};
  in_.shrink(0);
  read_deadline_.expires_after(timeouts_.keep_alive);
  schedule();  // a pipelined request is read in the next turn, not from within the session that just ended
}

// -- between requests ------------------------------------------------------------

void connection::note_idle() {
  const bool in_request = stage_ != stage::waiting || (head_started_ && timeouts_.head.count() > 0);
  if (!in_request && backlog() == 0 && !idle_hook::is_linked()) owner_.on_idle(*this);
}

void connection::leave_idle() {
  if (idle_hook::is_linked()) idle_hook::unlink();
}

/// For a client that read its answer slowly: it was not idle until it had read all.
void connection::restart_idle_time() {
  if (stage_ != stage::waiting || head_started_ || backlog() > 0) return;
  read_deadline_.expires_after(draining_ ? drain_grace : timeouts_.keep_alive);
}

bool connection::close_if_idle() {
  const auto self = shared_from_this();
  if (stage_ != stage::waiting || backlog() > 0) return false;
  // Closing would reset a request that has arrived since the last read.
  if (socket_.wants_handshake() || !read_some()) close();
  return closed();
}

void connection::on_read_deadline() {
  const auto self = shared_from_this();
  switch (stage_) {
    case stage::waiting:
      if (head_started_) {
        refuse_head({.code = errc::request_timeout, .message = "The request's head did not arrive in time."});
      } else if (backlog() > 0) {
        // While the last answer is being sent, the write deadline applies.
        if (draining_ && in_.empty())
          finish_close();
        else
          read_deadline_.expires_after(timeouts_.keep_alive);
      } else {
        close_if_idle();
      }
      break;
    case stage::receiving:
      ending_.close_after = true;
      stage_ = stage::deciding;
      if (events_ == nullptr) break;
      if (incoming_->in_parts && incoming_->window == 0) {
        events_->on_body_failed(
            {.code = errc::upstream_timeout, .detail = "upstream did not take the body in time"});
      } else {
        events_->on_body_failed(
            {.code = errc::request_timeout, .message = "The request's body did not arrive in time."});
      }
      break;
    case stage::discarding:
      finish_close();
      break;
    case stage::lingering:
      close();
      break;
    case stage::deciding:
    case stage::serving:
    case stage::upgraded:
    case stage::closed:
      break;
  }
}

}  // namespace llm_proxy
