#include "http/websocket/websocket.hpp"

#include "http/downstream/peer_address.hpp"

#include <boost/asio/buffer.hpp>
#include <boost/asio/error.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/websocket/error.hpp>
#include <boost/beast/websocket/rfc6455.hpp>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <exception>
#include <utility>

namespace llm_proxy {

namespace {

namespace http = boost::beast::http;
namespace beast_websocket = boost::beast::websocket;

/// How long the peer has to answer our close.
constexpr auto close_time = std::chrono::seconds{2};
/// RFC 6455 §5.5: a control frame has at most 125 bytes, and two of them are the code.
constexpr std::size_t longest_reason = 123;

std::string words_for(const beast_websocket::close_reason& reason) {
  std::string text = "closed by the peer";
  if (reason.code != beast_websocket::close_code::none) text += " with " + std::to_string(reason.code);
  if (!reason.reason.empty()) text += ": " + std::string{reason.reason.data(), reason.reason.size()};
  return text;
}

std::string words_for_own(const beast_websocket::close_reason& reason) {
  return "closed with " + std::to_string(reason.code);
}

}  // namespace

websocket::websocket(loop_context& context, deadlines& timers, const websocket_limits& limits,
                     websocket_events& events)
    : stream_{context},
      limits_{limits},
      events_{&events},
      ping_{timers, [this] { on_ping_due(); }},
      write_deadline_{timers, [this] { on_write_deadline(); }},
      close_deadline_{timers, [this] { abort("the peer did not answer the close"); }},
      timers_{timers} {
  // Timers of Asio's never end here (http/loop/loop_executor.hpp), so the time limits are ours.
  stream_.set_option(beast_websocket::stream_base::timeout{beast_websocket::stream_base::none(),
                                                           beast_websocket::stream_base::none(), false});
  stream_.auto_fragment(false);  // it would cut messages into frames of 4 KiB, each with a write of its own
  stream_.read_message_max(limits.max_message);
  stream_.control_callback(
      [this](beast_websocket::frame_type, boost::beast::string_view) { heard_at_ = timers_.now(); });
}

template <class Then>
auto websocket::calling(Then then) {
  return [self = shared_from_this(), then](const error_code& ec, std::size_t = 0) {
    if (self->stage_ == stage::closed) return;
    try {
      then(*self, ec);
    } catch (const std::exception& error) {
      spdlog::critical("websocket: exception in a handler: {}", error.what());
      self->abort("an exception");
    }
  };
}

void websocket::accept(transport_socket& from, std::string_view read_already, const request_head& asked,
                       const header_list& headers) {
  stream_.next_layer().take(from, read_already);
  http::request<http::empty_body> request;
  request.method(http::verb::get);
  request.target({asked.target.data(), asked.target.size()});
  request.version(11);
  for (const std::string_view name :
       {"host", "upgrade", "connection", "sec-websocket-key", "sec-websocket-version"}) {
    if (const auto value = asked.headers.find(name))
      request.set(boost::beast::string_view{name.data(), name.size()},
                  boost::beast::string_view{value->data(), value->size()});
  }
  stream_.set_option(
      beast_websocket::stream_base::decorator([&headers](beast_websocket::response_type& answer) {
        answer.set(http::field::server, "llm-proxy");  // Beast would name itself
        for (const auto field : headers)
          answer.set(boost::beast::string_view{field.name.data(), field.name.size()},
                     boost::beast::string_view{field.value.data(), field.value.size()});
      }));
  heard_at_ = timers_.now();
  ping_.expires_after(limits_.ping_pause);
  stream_.async_accept(request, calling([](websocket& self, const error_code& ec) {
                         if (ec) {
                           self.end("the 101 could not be sent: " + ec.message());
                           return;
                         }
                         if (self.stage_ == stage::opening) self.stage_ = stage::open;
                         self.read_next();
                         self.write_next();
                       }));
  // It refers to `headers`.
  stream_.set_option(beast_websocket::stream_base::decorator([](beast_websocket::response_type&) {}));
}

// -- reading ---------------------------------------------------------------------------------------

void websocket::read_next() {
  stream_.async_read(incoming_, calling([](websocket& self, const error_code& ec) { self.on_read(ec); }));
}

void websocket::on_read(const error_code& ec) {
  if (ec == beast_websocket::error::closed) {
    end(is_close_begun_ ? words_for_own(reason_) : words_for(stream_.reason()));
    return;
  }
  if (ec) {
    end(ec == boost::asio::error::eof ? "the peer left without a close" : ec.message());
    return;
  }
  heard_at_ = timers_.now();
  if (stage_ == stage::open) {
    const auto bytes = incoming_.cdata();
    events_->on_message({static_cast<const char*>(bytes.data()), bytes.size()}, stream_.got_text());
    if (stage_ == stage::closed) return;
  }
  // A quiet connection keeps no memory for messages.
  incoming_.clear();
  incoming_.shrink_to_fit();
  read_next();
}

// -- writing ---------------------------------------------------------------------------------------

void websocket::send(std::string&& message) {
  if (stage_ != stage::opening && stage_ != stage::open) return;
  backlog_ += message.size();
  outgoing_.push_back(std::move(message));
  write_next();
}

void websocket::write_next() {
  if (stage_ == stage::opening || is_writing_) return;
  if (outgoing_.empty()) {
    if (stage_ == stage::closing) begin_close();
    return;
  }
  is_writing_ = true;
  written_ = stream_.next_layer().bytes_written();
  write_deadline_.expires_after(limits_.write_timeout);
  stream_.text(true);
  stream_.async_write(boost::asio::buffer(outgoing_.front()),
                      calling([](websocket& self, const error_code& ec) { self.on_written(ec); }));
}

void websocket::on_written(const error_code& ec) {
  is_writing_ = false;
  write_deadline_.cancel();
  if (ec) {
    end("writing failed: " + ec.message());
    return;
  }
  backlog_ -= outgoing_.front().size();
  outgoing_.pop_front();
  write_next();
  events_->on_sent();
}

void websocket::on_write_deadline() {
  // A slow peer may still take bytes of a large message.
  if (const auto written = stream_.next_layer().bytes_written();
      written != std::exchange(written_, written)) {
    write_deadline_.expires_after(limits_.write_timeout);
    return;
  }
  // The close can only be sent when the message has been sent, so it reaches a peer that reads again soon.
  for (; outgoing_.size() > 1; outgoing_.pop_back()) backlog_ -= outgoing_.back().size();
  close(websocket_close::policy_violation, "messages were not read");
  begin_close();
}

// -- the end ---------------------------------------------------------------------------------------

void websocket::close(websocket_close code, std::string_view reason) {
  if (stage_ == stage::closing || stage_ == stage::closed) return;
  const bool is_open = stage_ == stage::open;
  stage_ = stage::closing;
  reason_ = {static_cast<beast_websocket::close_code>(code),
             boost::beast::string_view{reason.data(), std::min(reason.size(), longest_reason)}};
  if (is_open) write_next();
}

void websocket::begin_close() {
  if (std::exchange(is_close_begun_, true)) return;
  close_deadline_.expires_after(close_time);
  stream_.async_close(reason_, calling([](websocket& self, const error_code& ec) {
                        self.end(ec ? "the close failed: " + ec.message() : words_for_own(self.reason_));
                      }));
}

void websocket::on_ping_due() {
  // A peer that has much to read answers no ping before it has read that. The write deadline watches it.
  if (!outgoing_.empty()) heard_at_ = timers_.now();
  if (timers_.now() - heard_at_ >= limits_.silence) {
    abort("the peer has fallen silent");
    return;
  }
  ping_.expires_after(limits_.ping_pause);
  if (stage_ != stage::open || is_ping_sent_) return;
  is_ping_sent_ = true;
  stream_.async_ping({}, calling([](websocket& self, const error_code& ec) {
                       self.is_ping_sent_ = false;
                       if (ec) self.end("a ping failed: " + ec.message());
                     }));
}

void websocket::abort(std::string_view why) {
  end(why);
}

void websocket::end(std::string_view why) {
  if (stage_ == stage::closed) return;
  const auto keep_alive_until_return = shared_from_this();
  stage_ = stage::closed;
  ping_.cancel();
  write_deadline_.cancel();
  close_deadline_.cancel();
  outgoing_.clear();
  backlog_ = 0;
  stream_.next_layer().close();
  events_->on_closed(why);
}

std::string websocket::peer_address() const {
  return llm_proxy::peer_address(stream_.next_layer().descriptor());
}

}  // namespace llm_proxy
