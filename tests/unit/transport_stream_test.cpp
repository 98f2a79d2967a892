// Beast's WebSocket over a transport_stream, against Beast's WebSocket over Asio's own sockets.
#include "http/websocket/transport_stream.hpp"

#include "support/catch.hpp"
#include "support/certificate.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/buffers_to_string.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/websocket.hpp>
#include <boost/beast/websocket/ssl.hpp>

#include <array>
#include <chrono>
#include <functional>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>

namespace llm_proxy {

namespace {

using namespace std::chrono_literals;
using boost::asio::ip::tcp;
namespace beast = boost::beast;
namespace websocket = boost::beast::websocket;
namespace ssl = boost::asio::ssl;
using error_code = boost::system::error_code;

/// Echoes messages on a thread of its own until the client closes.
class echo_server {
 public:
  explicit echo_server(const test::certificate* cert) : cert_{cert}, thread_{[this] { serve(); }} {}
  ~echo_server() { thread_.join(); }
  echo_server(const echo_server&) = delete;
  echo_server& operator=(const echo_server&) = delete;

  tcp::endpoint where() const { return listener_.local_endpoint(); }

 private:
  void serve() {
    auto socket = listener_.accept();
    try {
      if (cert_ != nullptr) {
        ssl::context context{ssl::context::tls_server};
        context.use_certificate_file(cert_->file(), ssl::context::pem);
        context.use_private_key_file(cert_->key(), ssl::context::pem);
        websocket::stream<ssl::stream<tcp::socket>> stream{std::move(socket), context};
        stream.next_layer().handshake(ssl::stream_base::server);
        echo(stream);
      } else {
        websocket::stream<tcp::socket> stream{std::move(socket)};
        echo(stream);
      }
    } catch (const boost::system::system_error&) {
      // The client has closed.
    }
  }
  template <class Stream>
  static void echo(Stream& stream) {
    stream.accept();
    for (;;) {
      beast::flat_buffer bytes;
      stream.read(bytes);
      stream.text(stream.got_text());
      stream.write(bytes.data());
    }
  }

  const test::certificate* cert_;
  boost::asio::io_context io_;
  tcp::acceptor listener_{io_, {boost::asio::ip::address_v4::loopback(), 0}};
  std::thread thread_;
};

/// A WebSocket's client on a reactor, run by hand.
class client final : private watcher {
 public:
  client(const tcp::endpoint& where, const test::certificate* cert) {
    boost::asio::io_context io;
    tcp::socket socket{io};
    socket.connect(where);
    socket.non_blocking(true);
    connected_.open(socket.release(), *this);
    if (cert != nullptr) {
      SSL_CTX_load_verify_file(context_.native_handle(), cert->file().c_str());
      tls_session::prepare(*context_.native_handle());
      connected_.start_tls(*context_.native_handle(), tls_side::client);
      REQUIRE(run_until([&] { return shaken_; }));
    }
    stream_.next_layer().take(connected_, {});
  }

  /// Runs the thread until `done`. Returns false if that takes too long.
  bool run_until(const std::function<bool()>& done) {
    const auto limit = std::chrono::steady_clock::now() + 5s;
    while (!done() && std::chrono::steady_clock::now() < limit) home_.run_round(5);
    return done();
  }
  /// Runs what `begin` begins, which calls the given function with its error_code. Returns that.
  template <class Begin>
  error_code wait_for(Begin begin) {
    std::optional<error_code> ended;
    begin([&](const error_code& ec, std::size_t = 0) { ended = ec; });
    CHECK_FALSE(ended);  // never before it has returned
    REQUIRE(run_until([&] { return ended.has_value(); }));
    return *ended;
  }

  auto& stream() { return stream_; }

 private:
  void on_ready(readiness now) override {
    connected_.note(now);
    error_code ec;
    if (connected_.wants_handshake() && connected_.shake_hands(ec)) shaken_ = !ec;
  }

  reactor home_;
  loop_context context_of_thread_{home_};
  ssl::context context_{ssl::context::tls_client};
  transport_socket connected_{home_};
  bool shaken_ = false;
  websocket::stream<transport_stream, false> stream_{context_of_thread_};
};

}  // namespace

TEST_CASE("transport stream: a WebSocket's messages of any size come back over it, plain and over TLS",
          "[unit][websocket]") {
  const test::certificate cert;
  const bool is_secured = GENERATE(false, true);
  const auto* secured = is_secured ? &cert : nullptr;
  echo_server server{secured};
  client us{server.where(), secured};
  auto& stream = us.stream();
  REQUIRE_FALSE(us.wait_for([&](auto done) { stream.async_handshake("localhost", "/", done); }));
  for (const std::size_t size :
       {std::size_t{0}, std::size_t{1}, std::size_t{125}, std::size_t{70'000}, std::size_t{6'000'000}}) {
    CAPTURE(size);
    std::string message(size, 'x');
    for (std::size_t i = 0; i < size; i += 97) message[i] = static_cast<char>('a' + i % 26);
    stream.text(size % 2 == 0);
    // Both at once: a large message comes back before all of it has left.
    std::optional<error_code> written;
    stream.async_write(boost::asio::buffer(message),
                       [&](const error_code& ec, std::size_t) { written = ec; });
    beast::flat_buffer back;
    REQUIRE_FALSE(us.wait_for([&](auto done) { stream.async_read(back, done); }));
    REQUIRE(us.run_until([&] { return written.has_value(); }));
    CHECK_FALSE(*written);
    CHECK(beast::buffers_to_string(back.data()) == message);
  }
  CHECK_FALSE(us.wait_for([&](auto done) { stream.async_close(websocket::close_code::normal, done); }));
  stream.next_layer().close();
}

TEST_CASE("transport stream: what is pending when it closes ends, and later operations too",
          "[unit][websocket]") {
  echo_server server{nullptr};
  client us{server.where(), nullptr};
  auto& stream = us.stream();
  REQUIRE_FALSE(us.wait_for([&](auto done) { stream.async_handshake("localhost", "/", done); }));
  beast::flat_buffer back;
  CHECK(us.wait_for([&](auto done) {
    stream.async_read(back, done);
    stream.next_layer().close();
  }));
  CHECK(us.wait_for([&](auto done) { stream.async_read(back, done); }));
  std::array<char, 8> bytes{};
  auto& raw = stream.next_layer();
  CHECK(us.wait_for([&](auto done) { raw.async_read_some(boost::asio::buffer(bytes), done); }) ==
        boost::asio::error::not_connected);
  CHECK(us.wait_for([&](auto done) { raw.async_write_some(boost::asio::buffer(bytes), done); }) ==
        boost::asio::error::not_connected);
}

TEST_CASE("transport stream: bytes that were read before it took the socket over come first",
          "[unit][websocket]") {
  boost::asio::io_context io;
  tcp::acceptor listening{io, {boost::asio::ip::address_v4::loopback(), 0}};
  tcp::socket peer{io};
  peer.connect(listening.local_endpoint());
  auto accepted = listening.accept();
  accepted.non_blocking(true);
  boost::asio::write(peer, boost::asio::buffer("later", 5));
  peer.close();

  struct nobody final : watcher {
    void on_ready(readiness) override {}
  } before;
  reactor home;
  loop_context context{home};
  transport_socket connected{home};
  connected.open(accepted.release(), before);
  transport_stream stream{context};
  stream.take(connected, "first, ");
  CHECK_FALSE(connected.is_open());
  std::string got;
  error_code ended;
  std::array<char, 4> bytes{};
  const std::function<void(error_code, std::size_t)> on_read = [&](error_code ec, std::size_t n) {
    got.append(bytes.data(), n);
    ended = ec;
    if (!ec) stream.async_read_some(boost::asio::buffer(bytes), on_read);
  };
  stream.async_read_some(boost::asio::buffer(bytes), on_read);
  for (int round = 0; round < 100 && !ended; ++round) home.run_round(20);
  CHECK(got == "first, later");
  CHECK(ended == boost::asio::error::eof);
}

TEST_CASE("reactor: a task that throws takes no other with it", "[unit][reactor]") {
  reactor home;
  int ran = 0;
  home.soon([] { throw std::runtime_error{"of the first"}; });
  home.soon([&] { ++ran; });
  CHECK(home.has_work());
  CHECK_THROWS(home.run_round(-1));
  CHECK(home.has_work());
  home.run_round(-1);
  CHECK(ran == 1);
  CHECK_FALSE(home.has_work());
}

}  // namespace llm_proxy
