// An upstream that fails in every way there is: status, body, verdict, time, and descriptors back to where
// they were.
#include "config/access_log.hpp"
#include "config/logging.hpp"
#include "support/catch.hpp"
#include "support/upstream_chat.hpp"

#include <spdlog/logger.h>
#include <spdlog/sinks/ostream_sink.h>

#include <filesystem>
#include <iterator>
#include <memory>
#include <mutex>
#include <optional>
#include <sstream>
#include <string>

namespace llm_proxy::test {

namespace {

using namespace std::chrono_literals;

/// Takes the access log while it lives. Made before the service and destroyed after it.
class recorded_verdicts {
 public:
  recorded_verdicts() : logger_{"access", std::make_shared<sink>(*this)} {
    set_access_logger(&logger_, log_format::json);
  }
  ~recorded_verdicts() { set_access_logger(nullptr, log_format::text); }
  recorded_verdicts(const recorded_verdicts&) = delete;
  recorded_verdicts& operator=(const recorded_verdicts&) = delete;

  /// Of the request with that id, waited for.
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
    {"reset before the head", false, [](auto& reply) { reply.reset(); }, 502, "upstream_invalid_response",
     "upstream_error"},
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
     502, "upstream_invalid_response", "upstream_error"},
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

TEST_CASE("faults: each has its status, its body, its verdict, and leaves nothing behind",
          "[service][upstream][fault]") {
  const recorded_verdicts verdicts;
  const fault* now = nullptr;
  scripted_upstream up{chats([&now](const auto&, auto& reply) { now->script(reply); })};
  auto values = litellm_settings(up.url());
  values.first_byte_timeout = 300ms;
  values.idle_timeout = 300ms;
  values.request_timeout = 1500ms;
  proxy service{values};
  REQUIRE(get(service, "/v1/models").status == 200);
  const auto base = open_descriptors();
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
  }
}

TEST_CASE("faults: an upstream that cannot be reached, by refusal or by silence",
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

TEST_CASE("faults: an upstream that restarts costs what it had at hand, and nothing after",
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
