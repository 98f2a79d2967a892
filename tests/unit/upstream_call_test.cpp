// The upstream client, and when it sends a request again by itself: a POST, PUT or PATCH never if upstream
// may have received any of it.
#include "http/upstream/upstream_call.hpp"

#include "support/call_outcome.hpp"
#include "support/catch.hpp"
#include "support/certificate.hpp"

#include <boost/asio/connect.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/write.hpp>

#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <dlfcn.h>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <sys/socket.h>
#include <thread>
#include <utility>
#include <vector>

namespace {

/// While this is set, peeking at a connection (MSG_PEEK) does not show that the peer has closed it, as if the
/// peer's FIN were still on its way.
std::atomic<bool> peeks_find_nothing{false};

}  // namespace

/// Replaces the C library's recv() in this program. It hides a closed connection while peeks_find_nothing is
/// set, so that the test decides what a peek finds.
extern "C" ssize_t recv(int descriptor, void* bytes, std::size_t size, int flags) {
  using function = ssize_t (*)(int, void*, std::size_t, int);
  static const auto real = reinterpret_cast<function>(::dlsym(RTLD_NEXT, "recv"));
  if ((flags & MSG_PEEK) != 0 && peeks_find_nothing) {
    errno = EAGAIN;
    return -1;
  }
  return real(descriptor, bytes, size, flags);
}

namespace llm_proxy {

namespace {

using namespace std::chrono_literals;
using boost::asio::ip::tcp;
using test::call_outcome;
using test::certificate;

const std::string answer = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

/// What an upstream does on one connection after it has answered a first request.
struct peer {
  std::function<void(const std::string&)> write;
  std::function<std::string()> read;  // returns what has come
  tcp::socket& socket;

  void close() const { socket.close(); }
  void reset() const {
    socket.set_option(boost::asio::socket_base::linger{true, 0});
    socket.close();
  }
};
using script = std::function<void(const peer&)>;

/// An upstream, with TLS if there is a certificate. Its first connection answers one request and then runs
/// the script: before the second request if `early`, otherwise when that has arrived. Each later connection
/// answers one request.
class upstream {
 public:
  upstream(script then, bool early, const certificate* cert) : then_{std::move(then)}, early_{early} {
    if (cert != nullptr) {
      tls_.emplace(boost::asio::ssl::context::tls_server);
      tls_->use_certificate_file(cert->file(), boost::asio::ssl::context::pem);
      tls_->use_private_key_file(cert->key(), boost::asio::ssl::context::pem);
    }
    thread_ = std::thread{[this] { serve(); }};
  }
  ~upstream() {
    boost::asio::io_context io;
    tcp::socket last{io};
    boost::system::error_code ignored;
    may_go_on_ = ending_ = true;
    last.connect(listener_.local_endpoint(), ignored);
    thread_.join();
  }
  upstream(const upstream&) = delete;
  upstream& operator=(const upstream&) = delete;

  std::string port() const { return std::to_string(listener_.local_endpoint().port()); }
  /// To be called when the client has read the first answer. An early script runs only after that.
  void go_on() { may_go_on_ = true; }
  /// Returns whether the second request may be sent: an early script has ended by then.
  bool ready() const { return ready_; }
  int connections() const { return connections_; }

 private:
  void serve() {
    for (;;) {
      auto socket = listener_.accept();
      if (ending_) return;
      const bool first = ++connections_ == 1;
      try {
        if (tls_) {
          boost::asio::ssl::stream<tcp::socket&> secured{socket, *tls_};
          secured.handshake(boost::asio::ssl::stream_base::server);
          talk(secured, socket, first);
        } else {
          talk(socket, socket, first);
        }
      } catch (const boost::system::system_error&) {
        // The client has closed the connection.
      }
    }
  }
  template <class Stream>
  void talk(Stream& stream, tcp::socket& socket, bool first) {
    std::string got;
    const peer me{[&](const std::string& text) { boost::asio::write(stream, boost::asio::buffer(text)); },
                  [&] {
                    std::array<char, 4096> bytes{};
                    const auto n = stream.read_some(boost::asio::buffer(bytes));
                    return std::string{bytes.data(), n};
                  },
                  socket};
    got = me.read();
    me.write(answer);
    if (!first) return;
    while (!may_go_on_) std::this_thread::sleep_for(1ms);
    if (!early_) {
      ready_ = true;
      socket.wait(tcp::socket::wait_read);
    }
    then_(me);
    ready_ = true;
  }

  boost::asio::io_context io_;
  tcp::acceptor listener_{io_, {boost::asio::ip::address_v4::loopback(), 0}};
  std::optional<boost::asio::ssl::context> tls_;
  script then_;
  bool early_;
  std::atomic<bool> may_go_on_{false};
  std::atomic<bool> ready_{false};
  std::atomic<bool> ending_{false};
  std::atomic<int> connections_{0};
  std::thread thread_;
};

struct ending {
  std::string name;
  bool early;  // it happens before the second request is sent
  script then;
  bool harmless;  // upstream cannot have received any of the second request
};

const std::vector<ending> endings{
    {"closed while idle, the end being on its way", true, [](const peer& at) { at.close(); }, true},
    {"reset while idle, the reset being on its way", true, [](const peer& at) { at.reset(); }, true},
    {"read, then closed", false,
     [](const peer& at) {
       at.read();
       at.close();
     },
     false},
    {"read, then reset at once, before its acknowledgement", false,
     [](const peer& at) {
       at.read();
       at.reset();
     },
     false},
    {"read, then reset after a while", false,
     [](const peer& at) {
       at.read();
       std::this_thread::sleep_for(120ms);
       at.reset();
     },
     false},
    {"come, not read, closed: a reset", false, [](const peer& at) { at.close(); }, false},
};

struct result {
  call_outcome said;
  int connections = 0;
  int resends = 0;
};

/// Sends a GET and then a request of `method` on one connection, which ends as `how` says. Returns what
/// became of the second request.
result second_request(const std::string& method, const ending& how, const certificate* cert) {
  result all;
  upstream there{how.then, how.early, cert};
  reactor sockets;
  deadlines timers;
  upstream_connection_options options;
  options.address = {cert != nullptr, "localhost", there.port(), "localhost", ""};
  if (cert != nullptr) options.tls = make_upstream_tls({cert->file()});
  options.on_resend = [&all] { ++all.resends; };
  upstream_connections calls{sockets, timers, options};
  const auto run_until = [&](auto&& holds) {
    const auto limit = std::chrono::steady_clock::now() + 5s;
    while (!holds() && std::chrono::steady_clock::now() < limit) sockets.run_round(5);
    return holds();
  };
  const auto head = std::make_shared<const std::string>(method + " / HTTP/1.1\r\nhost: x\r\n\r\n");
  call_outcome warm;
  {
    upstream_call first{calls, std::make_shared<const std::string>("GET / HTTP/1.1\r\nhost: x\r\n\r\n"),
                        nullptr, 4096, warm};
    first.start();
    REQUIRE(run_until([&] { return warm.ended(); }));
  }
  REQUIRE(warm.whole);
  REQUIRE(calls.idle_connections() == 1);
  there.go_on();
  // The reactor does not run meanwhile, so what happens to the idle connection stays unnoticed.
  while (!there.ready()) std::this_thread::sleep_for(1ms);
  std::this_thread::sleep_for(5ms);
  peeks_find_nothing = true;
  upstream_call second{calls, head, nullptr, 4096, all.said};
  second.start();
  run_until([&] { return all.said.ended(); });
  peeks_find_nothing = false;
  all.connections = there.connections();
  return all;
}

}  // namespace

TEST_CASE(
    "upstream call: a POST on a kept connection that dies is sent again only if none of it can have been "
    "received",
    "[unit][upstream_call]") {
  const certificate cert;
  for (const auto* secured : {static_cast<const certificate*>(nullptr), &cert}) {
    for (const auto& each : endings) {
      INFO(each.name << (secured != nullptr ? ", TLS" : ""));
      const auto got = second_request("POST", each, secured);
      CHECK(got.connections == (each.harmless ? 2 : 1));
      CHECK(got.resends == (each.harmless ? 1 : 0));
      CHECK(got.said.whole == each.harmless);
      if (each.harmless) continue;
      REQUIRE(got.said.fault);
      CHECK(got.said.fault->code == errc::upstream_disconnected);
      CHECK(got.said.fault->message == "The model gateway closed the connection without an answer.");
    }
  }
}

TEST_CASE("upstream call: GET, HEAD and DELETE are sent again however their kept connection dies",
          "[unit][upstream_call]") {
  for (const auto* method : {"GET", "DELETE"}) {
    for (const auto& each : endings) {
      INFO(method << ", " << each.name);
      const auto got = second_request(method, each, nullptr);
      CHECK(got.connections == 2);
      CHECK(got.resends == 1);
      CHECK(got.said.whole);
      CHECK(got.said.body == "ok");
    }
  }
  const auto got = second_request("HEAD", endings[2], nullptr);
  CHECK(got.connections == 2);
  CHECK(got.said.whole);
  CHECK(got.said.body.empty());
}

TEST_CASE("upstream call: PUT and PATCH are sent again only where a POST would be", "[unit][upstream_call]") {
  for (const auto* method : {"PUT", "PATCH"}) {
    INFO(method);
    CHECK(second_request(method, endings[0], nullptr).connections == 2);
    CHECK(second_request(method, endings[2], nullptr).connections == 1);
  }
}

TEST_CASE("upstream call: nothing is sent again once a byte of an answer has come", "[unit][upstream_call]") {
  const ending half{"half a status line", false,
                    [](const peer& at) {
                      at.read();
                      at.write("HTTP/1.1 2");
                      at.close();
                    },
                    false};
  for (const auto* method : {"POST", "GET"}) {
    const auto got = second_request(method, half, nullptr);
    CHECK(got.connections == 1);
    CHECK(got.resends == 0);
    REQUIRE(got.said.fault);
    CHECK(got.said.fault->code == errc::upstream_disconnected);
    CHECK(got.said.fault->message ==
          "The model gateway closed the connection within the head of its answer.");
  }
}

TEST_CASE("upstream call: an idle connection that the peer has closed is not used", "[unit][upstream_call]") {
  // The end has arrived and is noticed before the connection is used, so nothing has to be sent again.
  upstream there{[](const peer& at) { at.close(); }, true, nullptr};
  reactor sockets;
  deadlines timers;
  int resends = 0;
  upstream_connection_options options;
  options.address = {false, "127.0.0.1", there.port(), "localhost", ""};
  options.on_resend = [&resends] { ++resends; };
  upstream_connections calls{sockets, timers, options};
  for (int i = 0; i < 2; ++i) {
    call_outcome said;
    upstream_call call{calls, std::make_shared<const std::string>("POST / HTTP/1.1\r\nhost: x\r\n\r\n"),
                       nullptr, 4096, said};
    call.start();
    while (!said.ended()) sockets.run_round(5);
    CHECK(said.whole);
    there.go_on();
    while (!there.ready()) std::this_thread::sleep_for(1ms);
    std::this_thread::sleep_for(5ms);
  }
  CHECK(there.connections() == 2);
  CHECK(resends == 0);
}

}  // namespace llm_proxy
