#include "http/websocket/transport_stream.hpp"

#include <boost/asio/error.hpp>

#include <algorithm>
#include <cstring>

namespace llm_proxy {

void transport_stream::take(transport_socket& from, std::string_view read_already) {
  if (!read_already.empty()) {
    std::memcpy(in_.prepare(read_already.size()), read_already.data(), read_already.size());
    in_.commit(read_already.size());
  }
  socket_.take(from, *this);
}

void transport_stream::close() {
  socket_.close(false);
  const error_code aborted = boost::asio::error::operation_aborted;
  if (reading_) complete_soon(std::move(reading_), aborted, 0);
  if (writing_) complete_soon(std::move(writing_), aborted, 0);
}

/// A completion must not run before the function that began the operation has returned.
void transport_stream::complete_soon(std::unique_ptr<pending> what, const error_code& ec, std::size_t bytes) {
  context_.home().soon(
      [kept = std::shared_ptr<pending>{std::move(what)}, ec, bytes] { kept->complete(ec, bytes); });
}

void transport_stream::begin_read() {
  if (!in_.empty() || room_.size() == 0) {
    const auto n = std::min(in_.size(), room_.size());
    std::copy_n(in_.view().data(), n, static_cast<char*>(room_.data()));
    in_.consume(n);
    in_.shrink(0);
    complete_soon(std::move(reading_), {}, n);
  } else if (!socket_.is_open()) {
    complete_soon(std::move(reading_), boost::asio::error::not_connected, 0);
  } else {
    socket_.look_again();
  }
}

void transport_stream::begin_write() {
  error_code ec;
  std::size_t n = 0;
  if (!socket_.is_open()) {
    ec = boost::asio::error::not_connected;
  } else if (!to_write_.front().empty()) {
    n = write_now(ec);
    if (ec == boost::asio::error::would_block) return;  // on_ready() goes on
  }
  complete_soon(std::move(writing_), ec, n);
}

std::size_t transport_stream::write_now(error_code& ec) {
  const auto n = socket_.write(to_write_[0], to_write_[1], ec);
  written_ += n;
  return n;
}

void transport_stream::on_ready(readiness now) {
  socket_.note(now);
  if (writing_) {
    error_code ec;
    const auto n = write_now(ec);
    if (ec != boost::asio::error::would_block) {
      socket_.look_again();  // for a read: the handler may destroy this stream
      std::exchange(writing_, nullptr)->complete(ec, n);
      return;
    }
  }
  if (reading_ && socket_.readable()) read_now();
}

void transport_stream::read_now() {
  error_code ec;
  const auto n = socket_.read(in_, room_.size(), ec);
  if (ec == boost::asio::error::would_block) {
    in_.keep();
    return;
  }
  std::copy_n(in_.view().data(), n, static_cast<char*>(room_.data()));
  in_.consume(n);
  in_.keep();
  std::exchange(reading_, nullptr)->complete(ec, n);
}

void teardown(boost::beast::role_type, transport_stream& stream, boost::system::error_code& ec) {
  stream.end_sending();
  ec = {};
}

}  // namespace llm_proxy
