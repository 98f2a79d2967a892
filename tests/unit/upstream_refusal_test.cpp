// What an upstream says before it closes is read, although our request could not be sent to its end.
#include "http/upstream/upstream_call.hpp"
#include "support/call_outcome.hpp"
#include "support/catch.hpp"
#include "support/certificate.hpp"

#include <boost/asio/buffer.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/write.hpp>

#include <array>
#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <utility>

namespace llm_proxy {

namespace {

using namespace std::chrono_literals;
using boost::asio::ip::tcp;
namespace ssl = boost::asio::ssl;
using test::call_outcome;
using test::certificate;

constexpr std::string_view refusal = "HTTP/1.1 413 Content Too Large\r\ncontent-length: 3\r\n\r\nbig";

/// When an upstream answers. By then the client has sent as much as the system takes.
constexpr auto answer_after = 100ms;

/// Accepts one connection on a thread of its own and runs `serve` with it.
class one_connection {
 public:
  explicit one_connection(std::function<void(tcp::socket&)> serve)
      : thread_{[this, serve = std::move(serve)] {
          auto socket = listener_.accept();
          try {
            serve(socket);
          } catch (const boost::system::system_error&) {
            // The handshake failed, or the client has closed.
          }
        }} {}
  ~one_connection() { thread_.join(); }
  one_connection(const one_connection&) = delete;
  one_connection& operator=(const one_connection&) = delete;

  std::string port() const { return std::to_string(listener_.local_endpoint().port()); }

 private:
  boost::asio::io_context io_;
  tcp::acceptor listener_{io_, {boost::asio::ip::address_v4::loopback(), 0}};
  std::thread thread_;
};

/// Sends a POST with a body of `size` bytes and returns what became of it.
call_outcome post(const std::string& port, const certificate* cert, std::size_t size) {
  reactor sockets;
  deadlines timers;
  upstream_connection_options options;
  options.address = {cert != nullptr, "localhost", port, "localhost", ""};
  if (cert != nullptr) options.tls = make_upstream_tls({cert->file()});
  upstream_connections calls{sockets, timers, options};
  call_outcome said;
  const auto body = std::make_shared<const std::string>(size, 'x');
  upstream_call call{calls,
                     std::make_shared<const std::string>("POST / HTTP/1.1\r\nhost: x\r\ncontent-length: " +
                                                         std::to_string(size) + "\r\n\r\n"),
                     body, 4096, said};
  call.start();
  const auto begin = std::chrono::steady_clock::now();
  while (std::chrono::steady_clock::now() < begin + answer_after / 2) sockets.run_round(5);
  // The reactor does not run while the upstream answers and closes, so that the next write finds the
  // connection reset before the answer was read.
  std::this_thread::sleep_for(answer_after);
  const auto limit = std::chrono::steady_clock::now() + 5s;
  while (!said.whole && !said.fault && std::chrono::steady_clock::now() < limit) sockets.run_round(5);
  return said;
}

template <class Stream>
void refuse(Stream& stream) {
  std::array<char, 4096> bytes{};
  stream.read_some(boost::asio::buffer(bytes));
  std::this_thread::sleep_for(answer_after);
  boost::asio::write(stream, boost::asio::buffer(refusal));
}

}  // namespace

TEST_CASE("upstream call: an upstream that answers without reading the body is heard",
          "[unit][upstream_call]") {
  const certificate cert;
  const bool secured = GENERATE(false, true);
  CAPTURE(secured);
  for (const std::size_t size : {std::size_t{100}, std::size_t{20'000}, std::size_t{8'000'000}}) {
    CAPTURE(size);
    const one_connection upstream{[&](tcp::socket& socket) {
      if (secured) {
        ssl::context context{ssl::context::tls_server};
        context.use_certificate_file(cert.file(), ssl::context::pem);
        context.use_private_key_file(cert.key(), ssl::context::pem);
        ssl::stream<tcp::socket&> stream{socket, context};
        stream.handshake(ssl::stream_base::server);
        refuse(stream);
      } else {
        refuse(socket);
      }
      socket.close();  // a reset, if bytes of the body were not read
    }};
    const auto said = post(upstream.port(), secured ? &cert : nullptr, size);
    REQUIRE(said.head);
    CHECK(said.head->status == 413);
    CHECK(said.body == "big");
  }
}

TEST_CASE("upstream call: the reason of a refused TLS handshake is told even if the connection is reset",
          "[unit][upstream_call]") {
  const certificate cert;
  for (int i = 0; i < 10; ++i) {
    const one_connection upstream{[&](tcp::socket& socket) {
      ssl::context context{ssl::context::tls_server};
      context.use_certificate_file(cert.file(), ssl::context::pem);
      context.use_private_key_file(cert.key(), ssl::context::pem);
      context.set_verify_mode(ssl::verify_peer | ssl::verify_fail_if_no_peer_cert);
      ssl::stream<tcp::socket&> stream{socket, context};
      boost::system::error_code ignored;
      stream.handshake(ssl::stream_base::server, ignored);
      std::this_thread::sleep_for(answer_after);
      socket.close();  // a reset, because the request is never read
    }};
    const auto said = post(upstream.port(), &cert, 8'000'000);
    REQUIRE(said.fault);
    CHECK(said.fault->code == errc::upstream_unreachable);
    CHECK_THAT(said.fault->detail, Catch::Contains("refuses the TLS handshake"));
  }
}

}  // namespace llm_proxy
