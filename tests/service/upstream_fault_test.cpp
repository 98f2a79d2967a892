// An upstream that fails in every possible way. The tests check the status, the body, the verdict and the
// time, and that all descriptors are closed afterwards.
#include "actors/service/service_parts.hpp"
#include "config/access_log.hpp"
#include "config/logging.hpp"
#include "http/system/resident_memory.hpp"
#include "support/catch.hpp"
#include "support/keys_file.hpp"
#include "support/upstream_chat.hpp"

#include <spdlog/logger.h>
#include <spdlog/sinks/ostream_sink.h>

#include <atomic>
#include <filesystem>
#include <iterator>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

namespace llm_proxy::test {

namespace {

using namespace std::chrono_literals;

/// Receives the access log as long as it exists. It must be made before the service and destroyed after it.
class recorded_verdicts {
 public:
  recorded_verdicts() : logger_{"access", std::make_shared<sink>(*this)} {
    set_access_logger(&logger_, log_format::json);
  }
  ~recorded_verdicts() { set_access_logger(nullptr, log_format::text); }
  recorded_verdicts(const recorded_verdicts&) = delete;
  recorded_verdicts& operator=(const recorded_verdicts&) = delete;

  /// Returns how many lines the log has for the request with that id.
  std::size_t lines_of(const std::string& id) const {
    const std::lock_guard lock{mutex_};
    std::size_t count = 0;
    const auto word = "\"id\":\"" + id + '"';
    for (auto at = text_.find(word); at != std::string::npos; at = text_.find(word, at + 1)) ++count;
    return count;
  }
  /// Waits for the line of the request with that id, and returns its verdict.
  std::string of(const std::string& id) const {
    std::string word;
    eventually([&] {
      const std::lock_guard lock{mutex_};
      const auto line = text_.find("\"id\":\"" + id + '"');
      if (line == std::string::npos) return false;
      constexpr std::string_view name = "\"verdict\":\"";
      const auto begin = text_.find(name, line) + name.size();
      word = text_.substr(begin, text_.find('"', begin) - begin);
      return true;
    });
    return word;
  }

 private:
  class sink final : public spdlog::sinks::sink {
   public:
    explicit sink(recorded_verdicts& owner) : owner_{owner} {}
    void log(const spdlog::details::log_msg& message) override {
      const std::lock_guard lock{owner_.mutex_};
      owner_.text_.append(message.payload.data(), message.payload.size());
    }
    void flush() override {}
    void set_pattern(const std::string&) override {}
    void set_formatter(std::unique_ptr<spdlog::formatter>) override {}

   private:
    recorded_verdicts& owner_;
  };

  mutable std::mutex mutex_;
  std::string text_;
  spdlog::logger logger_;
};

std::size_t open_descriptors() {
  const std::filesystem::directory_iterator all{"/proc/self/fd"};
  return static_cast<std::size_t>(std::distance(begin(all), end(all)));
}

struct fault {
  std::string name;
  bool streamed;
  std::function<void(upstream_reply&)> script;
  int status;
  std::string code;
  std::string verdict;
};

const std::vector<fault> faults{
    {"hang before the head", false, [](auto& reply) { reply.hang(); }, 504, "upstream_timeout",
     "upstream_timeout_first_byte"},
    {"hang before the head", true, [](auto& reply) { reply.hang(); }, 504, "upstream_timeout",
     "upstream_timeout_first_byte"},
    {"hang mid-body", false,
     [](auto& reply) {
       reply.head(200, {{"content-type", "application/json"}, {"content-length", "100"}});
       reply.send("{");
       reply.hang();
     },
     504, "upstream_timeout", "upstream_timeout_idle"},
    {"hang mid-stream", true,
     [](auto& reply) {
       reply.sse_head();
       reply.event(delta);
       reply.hang();
     },
     200, "upstream_timeout", "upstream_timeout_idle"},
    {"a stream without end", true,
     [](auto& reply) {
       reply.sse_head();
       while (reply.event(delta) && reply.sleep(20ms)) {
       }
     },
     200, "upstream_timeout", "upstream_timeout_total"},
    {"reset before the head", false, [](auto& reply) { reply.reset(); }, 502, "upstream_disconnected",
     "truncated"},
    {"reset mid-stream", true,
     [](auto& reply) {
       reply.sse_head();
       reply.event(delta);
       reply.sleep(50ms);
       reply.reset();
     },
     200, "upstream_disconnected", "truncated"},
    {"cut mid-body", false,
     [](auto& reply) {
       reply.head(200, {{"content-type", "application/json"}, {"content-length", "100"}});
       reply.send("{");
       reply.close();
     },
     502, "upstream_disconnected", "truncated"},
    {"an end without [DONE]", true,
     [](auto& reply) {
       reply.sse_head();
       reply.event(delta);
       reply.end_chunks();
     },
     200, "upstream_disconnected", "truncated"},
    {"no HTTP", false, [](auto& reply) { reply.send("220 mail.example ESMTP\r\n\r\n"); }, 502,
     "upstream_invalid_response", "upstream_error"},
    {"endless headers", true,
     [](auto& reply) {
       reply.send("HTTP/1.1 200 OK\r\n");
       while (reply.send("x-more: " + std::string(1000, 'a') + "\r\n")) {
       }
     },
     502, "upstream_invalid_response", "upstream_error"},
    {"an error of 100 MB", false,
     [](auto& reply) {
       reply.head(500, {{"content-type", "application/json"}, {"content-length", "100000000"}});
       while (reply.send(std::string(100'000, ' '))) {
       }
     },
     502, "upstream_error", "upstream_error"},
};

}  // namespace

TEST_CASE("faults: each one has its status, its error code and its verdict, and leaves nothing behind",
          "[service][upstream][fault]") {
  const recorded_verdicts verdicts;
  std::atomic<const fault*> now{nullptr};
  scripted_upstream up{chats([&now](const auto&, auto& reply) { now.load()->script(reply); })};
  auto values = litellm_settings(up.url());
  values.first_byte_timeout = 300ms;
  values.idle_timeout = 300ms;
  values.request_timeout = 1500ms;
  proxy service{values};
  REQUIRE(get(service, "/v1/models").status == 200);
  const auto base = open_descriptors();
  const auto memory = resident_bytes().value();
  for (const auto& each : faults) {
    INFO(each.name << (each.streamed ? ", streamed" : ""));
    now = &each;
    for (int i = 0; i < 3; ++i) {
      const auto begun = test_clock::now();
      const auto answer = chat(service, chat_body("m", each.streamed));
      CHECK(test_clock::now() - begun < 4s);
      CHECK(answer.status == each.status);
      CHECK(contains(answer.body, "\"code\":\"" + each.code + '"'));
      CHECK_FALSE(contains(answer.body, "[DONE]"));
      CHECK(answer.complete == (each.status != 200));
      CHECK(verdicts.of(answer.header("x-request-id")) == each.verdict);
    }
    CHECK(eventually([&] { return service.in_flight() == 0; }));
    CHECK(eventually([&] { return open_descriptors() <= base; }));
    // This is the memory of the service and of the test's upstream. With a sanitizer it is not checked,
    // because a sanitizer uses memory of its own.
    INFO("RSS before " << memory / 1024 << " KiB, now " << resident_bytes().value() / 1024 << " KiB");
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
    CHECK(resident_bytes().value() < memory + 32 * 1024 * 1024);
#endif
  }
}

namespace {

/// Returns how many requests a scrape shows for each verdict.
std::map<std::string, int> counted_verdicts(std::uint16_t admin_port) {
  std::map<std::string, int> all;
  std::istringstream text{request(admin_port, "GET", "/metrics").body};
  for (std::string line; std::getline(text, line);) {
    constexpr std::string_view name = "verdict=\"";
    if (!line.starts_with("llm_proxy_requests_total{")) continue;
    const auto begin = line.find(name) + name.size();
    all[line.substr(begin, line.find('"', begin) - begin)] += std::stoi(line.substr(line.rfind(' ') + 1));
  }
  return all;
}

}  // namespace

TEST_CASE("verdicts: however a request ends it has exactly one, the same in the log and in the metrics",
          "[service][upstream][fault]") {
  const recorded_verdicts verdicts;
  const keys_file keys{{{"slow", "key-slow", R"("rpm":1)"}, {"some", "key-some", R"("models":["ok"])"}}};
  scripted_upstream up{chats([](const upstream_request& req, upstream_reply& reply) {
    const auto model = req.text("model");
    if (model == "fails") {
      reply.json(500, "{}");
    } else if (model == "hangs") {
      reply.hang();
    } else if (!req.is_true("stream")) {
      reply.json(200, R"({"ok":true})");
    } else {
      reply.sse_head();
      reply.event(delta);
      if (model == "open") reply.hang();
      if (model == "ok") reply.event(stop);
      reply.end_chunks();
    }
  })};
  auto values = litellm_settings(up.url());
  values.internal_api_keys_file = keys.path();
  values.admin_port = refused_port{}.port();
  values.max_concurrent_requests = 2;
  values.first_byte_timeout = 300ms;
  proxy service{values};
  std::map<std::string, int> expected;
  std::map<std::string, std::string> by_id;
  int number = 0;
  const auto id_of = [&](const std::string& verdict) {
    auto id = "request-" + std::to_string(number++);
    ++expected[verdict];
    by_id[id] = verdict;
    return id;
  };
  const auto ask = [&](const std::string& verdict, int status, const std::string& body,
                       const std::string& key = std::string{test_key}) {
    const auto answer = request(service.port(), "POST", "/v1/chat/completions",
                                {{"x-request-id", id_of(verdict)}, {"x-api-key", key}}, body);
    INFO(verdict);
    CHECK(answer.status == status);
  };
  ask("complete", 200, chat_body("ok"));
  ask("complete", 200, chat_body("ok", true));
  ask("truncated", 200, chat_body("cut", true));
  ask("upstream_error", 502, chat_body("fails"));
  ask("upstream_timeout_first_byte", 504, chat_body("hangs"));
  ask("rejected_auth", 401, chat_body("ok"), "wrong");
  ask("rejected_auth", 403, chat_body("other"), "key-some");
  ask("complete", 200, chat_body("ok"), "key-slow");
  ask("rejected_limit", 429, chat_body("ok"), "key-slow");
  ask("rejected_invalid", 400, "{");
  ask("rejected_invalid", 422, "{}");
  std::vector<raw_connection> open;
  for (const std::string verdict : {"client_gone", "drained"}) {
    open.emplace_back(service.port());
    REQUIRE(open.back().send(make_request("POST", "/v1/chat/completions",
                                          {{"host", "x"}, {"x-request-id", id_of(verdict)}, key_field},
                                          chat_body("open", true))));
    REQUIRE(open.back().read_until(delta, 5s).end == read_end::done);
  }
  ask("rejected_overload", 503, chat_body("ok"));
  open.front().reset();
  REQUIRE(eventually([&] { return service.in_flight() == 1; }));
  for (const auto& each : service.shared()) caf::anon_send_exit(each.registry, caf::exit_reason::kill);
  {
    // This request fails unless the registry has been replaced already.
    const auto id = "request-" + std::to_string(number);
    const auto answer = request(service.port(), "POST", "/v1/chat/completions",
                                {{"x-request-id", id}, key_field}, chat_body("ok"));
    id_of(answer.status == 500 ? "internal" : "complete");
  }
  CHECK_FALSE(service.drain_connections(50ms));
  for (const auto& [id, verdict] : by_id) {
    CAPTURE(id, verdict);
    CHECK(verdicts.of(id) == verdict);
    CHECK(verdicts.lines_of(id) == 1);
  }
  CHECK(counted_verdicts(values.admin_port) == expected);
}

TEST_CASE("faults: an upstream that refuses connections is a 502, one that ignores them a 504",
          "[service][upstream][fault]") {
  const recorded_verdicts verdicts;
  refused_port nobody;
  blackhole silent;
  for (const bool refused : {true, false}) {
    auto values = litellm_settings(refused ? nobody.url() : silent.url());
    values.connect_timeout = 200ms;
    proxy service{values};
    REQUIRE(get(service, "/v1/models").status >= 502);
    const auto base = open_descriptors();
    for (const bool streamed : {false, true}) {
      const auto begun = test_clock::now();
      const auto answer = chat(service, chat_body("m", streamed));
      CHECK(test_clock::now() - begun < 3s);
      CHECK(answer.status == (refused ? 502 : 504));
      CHECK(verdicts.of(answer.header("x-request-id")) ==
            (refused ? "upstream_error" : "upstream_timeout_connect"));
    }
    CHECK(eventually([&] { return open_descriptors() <= base; }));
  }
}

TEST_CASE("faults: a body of 100 MB passes whole", "[service][upstream][fault]") {
  const std::string block(1'000'000, ' ');
  scripted_upstream up{chats([&](const auto&, auto& reply) {
    reply.head(200, {{"content-type", "application/json"}, {"content-length", "100000002"}});
    for (int i = 0; i < 100; ++i) {
      if (!reply.send(block)) return;
    }
    reply.send("{}");
  })};
  proxy service{litellm_settings(up.url())};
  const auto answer = chat(service, chat_body("m"), {}, 30s);
  CHECK(answer.status == 200);
  CHECK(answer.complete);
  CHECK(answer.body.size() == 100'000'002);
}

TEST_CASE("faults: when an upstream restarts only the requests at that time fail",
          "[service][upstream][fault]") {
  const auto script = chats([](const upstream_request& req, upstream_reply& reply) {
    if (req.text("model") == "long") {
      reply.sse_head();
      reply.event(delta);
      reply.hang();
    } else {
      reply.json(200, R"({"ok":true})");
    }
  });
  std::optional<scripted_upstream> up;
  up.emplace(script);
  proxy service{litellm_settings(up->url())};
  scripted_upstream::options same_port;
  same_port.port = up->port();
  for (int round = 0; round < 3; ++round) {
    CHECK(chat(service, chat_body("m")).status == 200);
    raw_connection client{service.port()};
    REQUIRE(send_chat(client, chat_body("long", true)));
    REQUIRE(client.read_until(delta, 5s).end == read_end::done);
    up.reset();
    CHECK(contains(client.read_to_end(5s).bytes, R"("code":"upstream_disconnected")"));
    CHECK(chat(service, chat_body("m")).status == 502);
    up.emplace(script, same_port);
    CHECK(chat(service, chat_body("m")).status == 200);
  }
  CHECK(eventually([&] { return service.in_flight() == 0; }));
}

}  // namespace llm_proxy::test
