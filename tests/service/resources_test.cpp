// Running out of file descriptors, which is a fault of this machine and not of an upstream.
#include "support/catch.hpp"
#include "support/program.hpp"
#include "support/upstream_chat.hpp"

#include <algorithm>
#include <csignal>
#include <cstdint>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <vector>

namespace llm_proxy::test {

namespace {

using namespace std::chrono_literals;

environment before(const std::vector<std::uint16_t>& upstreams, environment more = {}) {
  std::string urls;
  for (const auto port : upstreams) {
    if (!urls.empty()) urls += ',';
    urls += "http://127.0.0.1:" + std::to_string(port);
  }
  more.emplace("LLM_PROXY__LITELLM_PROXY_URL", urls);
  more.emplace("LLM_PROXY__PORT", "0");
  more.emplace("LLM_PROXY__THREADS", "2");
  more.emplace("LLM_PROXY__INTERNAL_API_KEY", std::string{test_key});
  return more;
}

}  // namespace

TEST_CASE("descriptors: when none is left a request is a 503 of this service, and no upstream is blamed",
          "[service][program][resources]") {
  for (const std::size_t count : {1U, 2U}) {
    INFO(count << " upstreams");
    gate answers;
    const auto script = chats([&](const upstream_request&, upstream_reply& reply) {
      answers.wait(20s);
      reply.json(200, R"({"ok":true})");
    });
    scripted_upstream one{script};
    scripted_upstream other{script};
    std::vector<std::uint16_t> ports{one.port()};
    if (count == 2) ports.push_back(other.port());
    // The operator allows more clients than there are descriptors for.
    auto how = with(before(ports, {{"LLM_PROXY__MAX_CONNECTIONS", "1000"}, {"LLM_PROXY__RETRIES", "2"}}));
    how.max_files = 140;
    child_process service{program, how};
    const auto port = port_of(service);
    REQUIRE(port != 0);
    raw_connection watching{port};  // connected before the descriptors run out
    const auto ready = [&] {
      watching.send("GET /health/ready HTTP/1.1\r\nhost: x\r\n\r\n");
      const auto status = read_response(watching, 5s).status;
      // This connection is idle, so it may have been closed for clients that wait for a descriptor.
      return status != 0 ? status : request(port, "GET", "/health/ready").status;
    };
    REQUIRE(ready() == 200);
    // Half of the clients take the descriptors that the upstream connections of the other half need.
    std::vector<std::unique_ptr<raw_connection>> clients;
    for (int i = 0; i < 100; ++i) {
      clients.push_back(std::make_unique<raw_connection>(port));
      REQUIRE(send_chat(*clients.back(), chat_body("m")));
    }
    std::size_t refused = 0;
    CHECK(eventually([&] {
      return std::count_if(clients.begin(), clients.end(),
                           [](auto& each) { return !each->stays_quiet(0ms); }) > 10;
    }));
    std::set<const raw_connection*> answered;  // these are idle now, so they are the first to be closed
    for (auto& each : clients) {
      if (each->stays_quiet(0ms)) continue;
      const auto answer = read_response(*each, 5s);
      answered.insert(each.get());
      ++refused;
      CHECK(answer.status == 503);
      CHECK(contains(answer.body, R"("code":"out_of_resources")"));
      CHECK(answer.header("x-llm-proxy-error-source") == "proxy");
      CHECK(answer.header("x-should-retry") == "true");
    }
    CHECK(refused > 10);
    // Clients that wait for a descriptor come first.
    CHECK(eventually([&] { return ready() == 200; }));
    answers.open();
    // The other clients, and those that have waited in the backlog until now, are answered or refused as
    // well.
    for (auto& each : clients) {
      if (answered.contains(each.get()) || each->stays_quiet(0ms)) continue;
      const auto status = read_response(*each, 5s).status;
      CHECK((status == 200 || status == 503));
    }
    clients.clear();
    CHECK(ready() == 200);
    const auto chat_status = [&] {
      return request(port, "POST", "/v1/chat/completions", {key_field}, chat_body("m")).status;
    };
    CHECK(eventually([&] { return chat_status() == 200; }));
    for (int i = 0; i < 20; ++i) CHECK(chat_status() == 200);
    // An upload opens a new upstream connection.
    CHECK(request(port, "POST", "/v1/audio/transcriptions",
                  {key_field, {"content-type", "multipart/form-data; boundary=x"}},
                  "--x\r\n\r\na\r\n--x--\r\n")
              .status == 200);
    const auto metrics = request(port, "GET", "/metrics", {key_field}).body;
    CHECK(contains(metrics, R"(status="503",verdict="rejected_overload")"));
    for (const auto* fault : {R"(status="502")", R"(status="500")", R"(status="504")"}) {
      CHECK_FALSE(contains(metrics, fault));
    }
    CHECK(contains(metrics, "\nllm_proxy_retries_total 0\n"));
    CHECK(contains(metrics, "\nllm_proxy_actors_replaced_total 0\n"));
    service.signal(SIGTERM);
    CHECK(service.wait(long_patience) == 0);
    const auto begins =
        service.out().find("no connection to upstream can be opened for now (Too many open files)");
    CHECK(begins != std::string::npos);
    CHECK(service.out().find("no connection to upstream can be opened", begins + 1) == std::string::npos);
    CHECK(contains(service.out(), "connections to upstream can be opened again"));
    CHECK_FALSE(contains(service.out(), "left out"));
    CHECK_FALSE(contains(service.out(), "exception"));
  }
}

TEST_CASE("descriptors: when none is left an upstream with a host name is not blamed either",
          "[service][program][resources]") {
  gate answers;
  scripted_upstream up{chats([&](const upstream_request&, upstream_reply& reply) {
    answers.wait(20s);
    reply.json(200, R"({"ok":true})");
  })};
  auto values = before({}, {{"LLM_PROXY__MAX_CONNECTIONS", "1000"}});
  values["LLM_PROXY__LITELLM_PROXY_URL"] = "http://localhost:" + std::to_string(up.port());
  auto how = with(values);
  how.max_files = 140;
  child_process service{program, how};
  const auto port = port_of(service);
  REQUIRE(port != 0);
  std::vector<std::unique_ptr<raw_connection>> clients;
  for (int i = 0; i < 100; ++i) {
    clients.push_back(std::make_unique<raw_connection>(port));
    REQUIRE(send_chat(*clients.back(), chat_body("m")));
  }
  std::this_thread::sleep_for(500ms);
  std::size_t refused = 0;
  for (auto& each : clients) {
    if (each->stays_quiet(0ms)) continue;
    ++refused;
    CHECK(read_response(*each, 5s).status == 503);
  }
  CHECK(refused > 10);
  answers.open();
  clients.clear();
  CHECK(eventually([&] {
    return request(port, "POST", "/v1/chat/completions", {key_field}, chat_body("m")).status == 200;
  }));
  CHECK(request(port, "GET", "/health/ready").status == 200);
}

TEST_CASE("descriptors: MAX_CONNECTIONS=0 leaves every client a descriptor for its upstream connection",
          "[service][program][resources]") {
  gate answers;
  scripted_upstream up{chats([&](const upstream_request&, upstream_reply& reply) {
    answers.wait(20s);
    reply.json(200, R"({"ok":true})");
  })};
  auto how = with(before({up.port()}));
  how.max_files = 200;  // room for (200 - 64) / 2 = 68 clients
  child_process service{program, how};
  const auto port = port_of(service);
  REQUIRE(port != 0);
  std::vector<std::unique_ptr<raw_connection>> clients;
  for (int i = 0; i < 120; ++i) {
    clients.push_back(std::make_unique<raw_connection>(port));
    REQUIRE(send_chat(*clients.back(), chat_body("m")));
  }
  CHECK(eventually([&] { return chats_of(up).size() == 68; }));
  std::this_thread::sleep_for(100ms);
  CHECK(chats_of(up).size() == 68);
  for (auto& each : clients) CHECK(each->stays_quiet(0ms));  // no client is refused; the others wait
  answers.open();
  for (auto& each : clients) {
    CHECK(read_response(*each, 10s).status == 200);
    each.reset();
  }
}

TEST_CASE("descriptors: a limit below 128 causes a warning at the start", "[service][program][resources]") {
  for (const std::size_t limit : {127U, 128U}) {
    auto how = with(mock_environment());
    how.max_files = limit;
    child_process service{program, how};
    REQUIRE(port_of(service) != 0);
    service.signal(SIGTERM);
    CHECK(service.wait(long_patience) == 0);
    CHECK(contains(service.out(), "the limit on open files is 127") == (limit == 127));
    CHECK(contains(service.out(), "the limit on open files") == (limit == 127));
  }
}

}  // namespace llm_proxy::test
