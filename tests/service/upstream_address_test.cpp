// The addresses of an upstream: names that are looked up, names with several addresses, and addresses that
// cannot be reached.
#include "http/upstream/fetch.hpp"
#include "support/catch.hpp"
#include "support/one_adapter.hpp"
#include "support/upstream_chat.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>

#include <atomic>
#include <chrono>
#include <dlfcn.h>
#include <netdb.h>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

namespace {

/// The address to which the name moving.test resolves.
std::atomic<const char*> moving_name{"127.0.0.1"};

}  // namespace

/// Replaces the C library's getaddrinfo() in this program, so that it resolves the names of these
/// tests.
extern "C" int getaddrinfo(const char* node, const char* service, const addrinfo* hints, addrinfo** found) {
  using function = int (*)(const char*, const char*, const addrinfo*, addrinfo**);
  static const auto real = reinterpret_cast<function>(::dlsym(RTLD_NEXT, "getaddrinfo"));
  const std::string_view name{node != nullptr ? node : ""};
  if (name == "nowhere.test") return EAI_NONAME;
  if (name == "slow.test") {
    std::this_thread::sleep_for(std::chrono::seconds{2});
    return EAI_AGAIN;
  }
  if (name == "late.test") {
    std::this_thread::sleep_for(std::chrono::milliseconds{600});
    return real("127.0.0.1", service, hints, found);
  }
  return real(name == "moving.test" ? moving_name.load() : node, service, hints, found);
}

namespace llm_proxy::test {

using namespace std::chrono_literals;

TEST_CASE("addresses: every address of a name is tried", "[service][upstream][connect]") {
  // localhost is 127.0.0.1 and then ::1. The first address refuses if the upstream listens only on the
  // second.
  for (const auto& [family, v6] : {std::pair{AF_INET, false}, std::pair{AF_INET6, true}}) {
    addrinfo hints{};
    hints.ai_family = family;
    addrinfo* found = nullptr;
    if (::getaddrinfo("localhost", nullptr, &hints, &found) != 0) continue;
    ::freeaddrinfo(found);
    scripted_upstream::options how;
    how.ipv6 = v6;
    scripted_upstream up{chats(ok), how};
    proxy service{one_thread("http://localhost:" + std::to_string(up.port()))};
    CHECK(chat(service, chat_body("m")).status == 200);
    CHECK(wait_for_chat(up).header("host") == "localhost:" + std::to_string(up.port()));
  }
}

TEST_CASE("addresses: a name is looked up anew for each connection", "[service][upstream][connect]") {
  std::optional<scripted_upstream> old{chats(ok)};
  scripted_upstream::options how;
  how.ipv6 = true;
  how.port = old->port();
  scripted_upstream moved{chats(ok), how};
  moving_name = "127.0.0.1";
  proxy service{one_thread("http://moving.test:" + std::to_string(old->port()))};
  CHECK(chat(service, chat_body("m")).status == 200);
  CHECK(chats_of(*old).size() == 1);
  old.reset();
  CHECK(chat(service, chat_body("m")).status == 502);
  moving_name = "::1";
  CHECK(chat(service, chat_body("m")).status == 200);
  CHECK(chats_of(moved).size() == 1);
}

TEST_CASE("addresses: a name that cannot be found is a 502, one that takes too long a 504",
          "[service][upstream][connect]") {
  for (const auto& [name, status] : {std::pair{"nowhere.test", 502}, std::pair{"slow.test", 504}}) {
    auto values = one_thread("http://" + std::string{name} + ":4000");
    values.connect_timeout = 300ms;
    proxy service{values};
    for (const bool streamed : {false, true}) {
      const auto begun = test_clock::now();
      CHECK(chat(service, chat_body("m", streamed)).status == status);
      CHECK(test_clock::now() - begun < 1500ms);
    }
    CHECK(eventually([&] { return service.in_flight() == 0; }));
  }
}

TEST_CASE("addresses: a name that takes too long does not delay others", "[service][upstream][connect]") {
  scripted_upstream up{chats(ok)};
  moving_name = "127.0.0.1";
  const auto port = std::to_string(up.port());
  auto values = one_thread("http://slow.test:" + port);
  values.litellm_proxy_url.push_back("http://moving.test:" + port);
  values.connect_timeout = 300ms;
  proxy service{values};
  for (int i = 0; i < 8; ++i) CHECK(chat(service, chat_body("m")).status == 200);
  CHECK(chats_of(up).size() == 8);
}

TEST_CASE("fetch: the connect timeout bounds name look-up, connection and TLS together",
          "[service][upstream][connect]") {
  // The system accepts connections for this listener, and nobody answers on them.
  boost::asio::io_context io;
  const boost::asio::ip::tcp::acceptor silent{io, {boost::asio::ip::address_v4::loopback(), 0}};
  const auto port = std::to_string(silent.local_endpoint().port());
  struct row {
    std::string url;
    std::string fault;
    bool connected;
  };
  for (const auto& [url, fault, connected] :
       std::vector<row>{{"http://slow.test:" + port, "the name can't be resolved: it took too long", false},
                        {"https://late.test:" + port, "no TLS connection: it took too long", true},
                        {"https://127.0.0.1:" + port, "no TLS connection: it took too long", true}}) {
    INFO(url);
    fetch_request request;
    request.url = url;
    request.connect_timeout = 900ms;
    const auto begun = test_clock::now();
    const auto result = fetch(request, [](unsigned, std::string_view) {});
    const auto took = test_clock::now() - begun;
    CHECK(took >= 900ms);
    CHECK(took < 1300ms);
    CHECK(result.fault == fault);
    CHECK(result.connected == connected);
  }
}

TEST_CASE("addresses: an IPv6 address may be in the URL", "[service][upstream][connect]") {
  scripted_upstream::options how;
  how.ipv6 = true;
  scripted_upstream up{chats(ok), how};
  proxy service{one_thread("http://[::1]:" + std::to_string(up.port()))};
  CHECK(chat(service, chat_body("m")).status == 200);
  CHECK(wait_for_chat(up).header("host") == "[::1]:" + std::to_string(up.port()));
}

TEST_CASE("addresses: if upstream cannot be reached the client gets a 502 that hides its address",
          "[service][upstream][connect]") {
  refused_port nobody;
  const auto port = std::to_string(nobody.port());
  for (const auto& url : {"http://127.0.0.1:" + port, "http://localhost:" + port,
                          "http://no-such-host.invalid:" + port, "https://127.0.0.1:" + port}) {
    INFO(url);
    proxy service{one_thread(url)};
    for (const auto& answer :
         {chat(service, chat_body("m")), chat(service, chat_body("m", true)), get(service, "/v1/models")}) {
      CHECK(answer.status == 502);
      CHECK(contains(answer.body, R"("code":"upstream_unreachable")"));
      CHECK(answer.header("content-type") == "application/json");
      for (const auto& secret : {port, std::string{"127.0.0.1"}, std::string{"no-such-host"}}) {
        CHECK_FALSE(contains(answer.head + answer.body, secret));
      }
    }
  }
}

}  // namespace llm_proxy::test
