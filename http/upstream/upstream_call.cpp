#include "http/upstream/upstream_call.hpp"

#include "http/system/local_shortage.hpp"
#include "http/tls/tls_fault.hpp"

#include <boost/asio/error.hpp>

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

namespace llm_proxy {

namespace {

// The read that waits on an idle connection also takes the next answer's first bytes.
constexpr std::size_t largest_idle_read = 64 * 1024;

}  // namespace

// -- idle connections -----------------------------------------------------------

/// A connection between calls. One read is pending, so that we notice if the peer closes or sends bytes
/// without a request.
class upstream_connections::idle_socket final : public upstream_socket_user {
 public:
  idle_socket(upstream_connections& owner, std::shared_ptr<upstream_socket> socket)
      : owner_{owner}, socket_{std::move(socket)}, deadline_{owner.timers_, [this] { owner_.drop(*this); }} {
    socket_->use(this);
    socket_->rest();
    socket_->read(largest_idle_read);
    deadline_.expires_after(owner.options_.idle_timeout);
  }
  ~idle_socket() {
    if (socket_) socket_->close();
  }

  std::shared_ptr<upstream_socket> release() {
    socket_->use(nullptr);
    return std::move(socket_);
  }

 private:
  void on_connected(const boost::system::error_code&) override {}
  void on_sent(const boost::system::error_code&) override {}
  void on_read(const boost::system::error_code&) override { owner_.drop(*this); }

  upstream_connections& owner_;
  std::shared_ptr<upstream_socket> socket_;
  deadline deadline_;
};

upstream_connections::upstream_connections(reactor& home, deadlines& timers,
                                           upstream_connection_options options)
    : home_{home}, timers_{timers}, options_{std::move(options)} {
  if (options_.address.tls && !options_.tls) options_.tls = make_upstream_tls({});
}

upstream_connections::~upstream_connections() = default;

std::shared_ptr<upstream_socket> upstream_connections::take_idle() {
  while (!idle_.empty()) {
    auto socket = idle_.back()->release();
    idle_.pop_back();
    // Bytes that a peer sent without a request would be taken for the next answer. The pending read may not
    // have seen them yet.
    if (!socket->readable()) return socket;
    socket->close();
  }
  return nullptr;
}

std::shared_ptr<upstream_socket> upstream_connections::make_socket() {
  return std::make_shared<upstream_socket>(home_,
                                           options_.address.tls ? options_.tls->native_handle() : nullptr);
}

void upstream_connections::park(std::shared_ptr<upstream_socket> socket) {
  idle_.push_back(std::make_unique<idle_socket>(*this, std::move(socket)));
}

void upstream_connections::drop(idle_socket& which) {
  const auto at =
      std::find_if(idle_.begin(), idle_.end(), [&](const auto& entry) { return entry.get() == &which; });
  if (at != idle_.end()) idle_.erase(at);
}

// -- calls ----------------------------------------------------------------------

upstream_call::upstream_call(upstream_connections& owner, std::shared_ptr<const std::string> head,
                             std::shared_ptr<const std::string> body, std::size_t credit, call_events& events)
    : owner_{owner},
      head_{std::move(head)},
      body_{std::move(body)},
      events_{events},
      parser_{head_->starts_with("HEAD ")},
      credit_{credit} {}

upstream_call::~upstream_call() {
  if (gone_) *gone_ = true;
  if (socket_) socket_->close();
}

void upstream_call::start() {
  // A body sent in parts is not kept, so it could not be sent again if a kept connection turned out to be
  // stale.
  if (!upload_) socket_ = owner_.take_idle();
  if (socket_) {
    reused_ = true;
    socket_->use(this);
    send();
    return;
  }
  open();
}

void upstream_call::open() {
  reused_ = false;
  socket_ = owner_.make_socket();
  socket_->use(this);
  connect_deadline_ = std::make_unique<deadline>(owner_.timers_, [this] {
    fail({.code = errc::upstream_timeout, .detail = "connecting took too long"});
  });
  connect_deadline_->expires_after(owner_.options_.connect_timeout);
  connect_began_ = steady_clock::now();
  socket_->connect(owner_.options_.address);
}

void upstream_call::on_connected(const boost::system::error_code& ec) {
  connect_deadline_.reset();
  if (ec) {
    const auto code = is_local_shortage(ec) ? errc::out_of_resources : errc::upstream_unreachable;
    fail({.code = code, .detail = socket_->explain(ec)});
    return;
  }
  connect_time_ = steady_clock::now() - connect_began_;
  send();
}

void upstream_call::expect_parts(bool chunked) {
  upload_ = std::make_unique<upload>();
  upload_->chunked = chunked;
}

void upstream_call::send_part(std::string bytes, bool last) {
  if (over_) return;
  const auto size = bytes.size();
  if (upload_->chunked) {
    std::string framed;
    if (size > 0) {
      std::array<char, 20> digits{};
      const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), size, 16).ptr;
      framed.append(digits.data(), end).append("\r\n").append(bytes).append("\r\n");
    }
    if (last) framed += "0\r\n\r\n";
    bytes = std::move(framed);
  }
  upload_->last_given = last;
  upload_->parts.push_back({std::move(bytes), size});
  send_next_part();
}

void upstream_call::send_next_part() {
  if (sending_ || !socket_ || !connected_ || !upload_ || upload_->parts.empty()) return;
  auto next = std::move(upload_->parts.front());
  upload_->parts.pop_front();
  sending_ = true;
  upload_->sending_size = next.size;
  socket_->send(std::make_shared<const std::string>(std::move(next.bytes)), nullptr);
}

void upstream_call::send() {
  connected_ = sending_ = true;
  if (upload_) upload_->sending_size = 0;
  socket_->send(head_, body_);
  read_on();  // upstream may answer before it has read all
}

void upstream_call::on_sent(const boost::system::error_code& ec) {
  sending_ = false;
  if (!ec) {
    sent_ = !upload_ || (upload_->last_given && upload_->parts.empty());
    if (!upload_) return;
    const auto size = std::exchange(upload_->sending_size, 0);
    send_next_part();
    if (size > 0) events_.on_part_sent(size);
    return;
  }
  // This is not reported: an upstream that refuses a body may answer and close without reading it, and its
  // answer is worth more than our broken pipe. A read, which is pending or waits for credit, finds the answer
  // or the end.
}

void upstream_call::grant(std::size_t bytes) {
  credit_ += bytes;
  if (!over_ && socket_ && parser_.head_done()) read_on();
}

void upstream_call::read_on() {
  // Reading the head needs no credit. Of the body no more is read than may be passed on.
  if (!parser_.head_done()) {
    socket_->read(std::max<std::size_t>(credit_, 1));
  } else if (credit_ > 0) {
    socket_->read(credit_);
  }
}

void upstream_call::on_read(const boost::system::error_code& ec) {
  const bool ended = ec == boost::asio::error::eof;
  if (!socket_->input().empty()) any_byte_ = true;
  if (ec && !any_byte_ && refuses_handshake(ec)) {
    fail({.code = errc::upstream_unreachable, .detail = socket_->explain(ec)});
    return;
  }
  if (ec && !any_byte_ && try_again(ec)) return;
  if (ec && !ended) {
    fail(parser_.broken_off(ec.message()));
    return;
  }
  take_input(ended);
}

/// True for GET, HEAD and DELETE, which HTTP calls idempotent (RFC 9110 §9.2.2). PUT is left out, because we
/// do not know whether upstream's endpoints treat it so.
bool upstream_call::is_idempotent() const {
  return head_->starts_with("GET ") || head_->starts_with("HEAD ") || head_->starts_with("DELETE ");
}

bool upstream_call::try_again(const boost::system::error_code& how) {
  if (!reused_ || !(is_idempotent() || socket_->nothing_received(how))) return false;
  socket_->close();
  sent_ = false;
  if (owner_.options_.on_resend) owner_.options_.on_resend();
  open();
  return true;
}

void upstream_call::take_input(bool ended) {
  failure fault{.code = errc::none};
  call_input came;
  auto& input = socket_->input();
  input.consume(parser_.read(input.view(), came.head, came.bytes, fault));
  if (fault.code == errc::none && ended && !parser_.done()) {
    parser_.read_end(fault);
    if (fault.code == errc::none && !parser_.done()) fault = parser_.broken_off("closed early");
  }
  // An event may destroy this object, so no member is used after one.
  came.whole = fault.code == errc::none && parser_.done();
  if (came.head) {
    // The request will not be sent again.
    head_.reset();
    body_.reset();
  }
  credit_ -= std::min(credit_, came.bytes.size());
  const bool failed = fault.code != errc::none;
  if (came.whole || failed) over_ = true;
  auto* events = &events_;
  if (came.whole) {
    finish();
  } else if (failed) {
    socket_->close();
  } else {
    read_on();
  }
  std::shared_ptr<bool> gone;
  if (failed) gone_ = gone = std::make_shared<bool>(false);
  if (came.head || !came.bytes.empty() || came.whole) events->on_input(std::move(came));
  if (!failed || *gone) return;
  events->on_failed(std::move(fault));
}

void upstream_call::finish() {
  // The connection is not used again if bytes follow the answer, the request was not fully sent, or the peer
  // wants to close.
  auto socket = std::move(socket_);
  if (sent_ && parser_.keep_alive() && socket->input().empty() && !socket->closed()) {
    owner_.park(std::move(socket));
  } else {
    socket->close();
  }
}

void upstream_call::fail(failure reason) {
  if (std::exchange(over_, true)) return;
  if (socket_) socket_->close();
  events_.on_failed(std::move(reason));
}

}  // namespace llm_proxy
