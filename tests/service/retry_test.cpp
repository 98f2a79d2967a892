// LLM_PROXY__RETRIES: which requests are tried again, how often, and which never are.
#include "support/catch.hpp"
#include "support/upstream_chat.hpp"

#include <atomic>
#include <mutex>
#include <string>
#include <utility>

namespace llm_proxy::test {

namespace {

using namespace std::chrono_literals;

settings with_retries(const std::string& url, std::size_t retries) {
  auto values = litellm_settings(url);
  values.threads = 1;
  values.retries = retries;
  return values;
}

/// A script that a test may replace while its upstream uses it.
class changing_script {
 public:
  changing_script& operator=(upstream_script next) {
    const std::lock_guard lock{mutex_};
    script_ = std::move(next);
    return *this;
  }
  void operator()(const upstream_request& req, upstream_reply& reply) const {
    upstream_script now;
    {
      const std::lock_guard lock{mutex_};
      now = script_;
    }
    now(req, reply);
  }

 private:
  mutable std::mutex mutex_;
  upstream_script script_;
};

/// Fails `left` times in the given manner, and then answers.
struct failing {
  std::atomic<int> left{0};
  changing_script manner;

  upstream_script script() {
    return chats([this](const upstream_request& req, upstream_reply& reply) {
      if (left > 0) {
        --left;
        manner(req, reply);
      } else if (req.is_true("stream")) {
        reply.sse({delta, stop, "[DONE]"});
      } else {
        reply.json(200, R"({"ok":true})");
      }
    });
  }
};

std::function<void(const upstream_request&, upstream_reply&)> says(int status, header_list more = {}) {
  return [status, more](const upstream_request&, upstream_reply& reply) {
    reply.json(
        status,
        R"({"error":{"message":"m","type":null,"param":null,"code":")" + std::to_string(status) + "\"}}",
        more);
  };
}

}  // namespace

TEST_CASE("retries: 429, 502, 503 and 504 are tried again, for streams too, and the body is the same",
          "[service][upstream][retry]") {
  failing how;
  scripted_upstream up{how.script()};
  proxy service{with_retries(up.url(), 2)};
  for (const int status : {429, 502, 503, 504}) {
    for (const bool streamed : {false, true}) {
      INFO(status << (streamed ? " streamed" : ""));
      how.manner = says(status);
      how.left = 1;
      up.clear_requests();
      const auto answer = chat(service, chat_body("m", streamed));
      CHECK(answer.status == 200);
      CHECK(answer.complete);
      const auto got = chats_of(up);
      REQUIRE(got.size() == 2);
      CHECK(got[0].body == got[1].body);
      CHECK(got[0].header("x-request-id") == got[1].header("x-request-id"));
      CHECK_FALSE(got[1].has("x-litellm-num-retries"));
    }
  }
}

TEST_CASE("retries: a request is tried again after a cut, a reset and an error as first event",
          "[service][upstream][retry]") {
  failing how;
  scripted_upstream up{how.script()};
  proxy service{with_retries(up.url(), 1)};
  using manner = std::function<void(const upstream_request&, upstream_reply&)>;
  for (const auto& each :
       {manner{[](const auto&, auto& reply) { reply.reset(); }}, manner{[](const auto&, auto& reply) {
          reply.sse_head();
          reply.close();
        }},
        manner{[](const auto&, auto& reply) {
          reply.sse_head();
          reply.event(R"({"error":{"message":"m","type":null,"param":null,"code":"503"}})");
          reply.hang();
        }}}) {
    how.manner = each;
    how.left = 1;
    const auto answer = chat(service, chat_body("m", true));
    CHECK(answer.status == 200);
    CHECK(answer.body == "data: " + delta + "\n\ndata: " + stop + "\n\ndata: [DONE]\n\n");
  }
}

TEST_CASE("retries: when they are used up the client gets the last failure, and by default the first",
          "[service][upstream][retry]") {
  failing how;
  how.manner = says(503, {{"retry-after", "0"}});
  scripted_upstream up{how.script()};
  for (const std::size_t retries : {0U, 2U}) {
    how.left = 100;
    up.clear_requests();
    proxy service{with_retries(up.url(), retries)};
    const auto answer = chat(service, chat_body("m"));
    CHECK(answer.status == 503);
    CHECK(contains(answer.body, R"("message":"m")"));
    CHECK(chats_of(up).size() == retries + 1);
    CHECK(eventually([&] { return service.in_flight() == 0; }));
  }
}

TEST_CASE("retries: they wait as long as Retry-After says, and a long one prevents them",
          "[service][upstream][retry]") {
  failing how;
  scripted_upstream up{how.script()};
  proxy service{with_retries(up.url(), 1)};
  how.manner = says(429, {{"retry-after", "1"}});
  how.left = 1;
  const auto begun = test_clock::now();
  CHECK(chat(service, chat_body("m")).status == 200);
  CHECK(test_clock::now() - begun >= 1s);
  for (const auto& [wait, allowed] : {std::pair{"30", "60000"}, std::pair{"2", "1500"}}) {
    how.manner = says(429, {{"retry-after", wait}});
    how.left = 1;
    up.clear_requests();
    const auto answer = chat(service, chat_body("m"), {{"x-request-timeout-ms", allowed}});
    CHECK(answer.status == 429);
    CHECK(answer.header("retry-after") == wait);
    CHECK(chats_of(up).size() == 1);
  }
}

TEST_CASE("retries: a request that would fail again is not tried again", "[service][upstream][retry]") {
  failing how;
  scripted_upstream up{how.script()};
  auto values = with_retries(up.url(), 2);
  values.first_byte_timeout = 200ms;
  proxy service{values};
  const auto once = [&](int status, bool streamed = false) {
    how.left = 1;
    up.clear_requests();
    const auto answer = chat(service, chat_body("m", streamed));
    CHECK(answer.status == status);
    CHECK(chats_of(up).size() == 1);
    return answer;
  };
  for (const int status : {400, 403, 404}) {
    how.manner = says(status);
    once(status);
  }
  how.manner = [](const auto&, auto& reply) {
    reply.json(
        429,
        R"({"error":{"message":"Budget has been exceeded","type":"budget_exceeded","param":null,"code":"429"}})");
  };
  once(429);
  // A request whose time is used up is not tried again.
  how.manner = [](const auto&, auto& reply) { reply.hang(); };
  once(504);
  // A request of which the client has received a byte is not tried again.
  how.manner = [](const auto&, auto& reply) {
    reply.sse_head();
    reply.event(delta);
    reply.reset();
  };
  CHECK(contains(once(200, true).body, R"("code":"upstream_disconnected")"));
}

TEST_CASE("retries: there are no more than the budget allows", "[service][upstream][retry]") {
  failing how;
  how.manner = says(503);
  how.left = 1000;
  scripted_upstream up{how.script()};
  proxy service{with_retries(up.url(), 1)};
  for (int i = 0; i < 14; ++i) CHECK(chat(service, chat_body("m")).status == 503);
  // The budget begins with ten retries, and each request adds a tenth of one.
  CHECK(chats_of(up).size() == 14 + 11);
}

TEST_CASE("retries: a client that leaves during the pause prevents the retry", "[service][upstream][retry]") {
  failing how;
  how.manner = says(429, {{"retry-after", "2"}});
  how.left = 1;
  scripted_upstream up{how.script()};
  proxy service{with_retries(up.url(), 1)};
  raw_connection client{service.port()};
  REQUIRE(send_chat(client, chat_body("m")));
  wait_for_chat(up);
  std::this_thread::sleep_for(100ms);
  client.close();
  CHECK(eventually([&] { return service.in_flight() == 0; }, 1s));
  CHECK(chats_of(up).size() == 1);
}

}  // namespace llm_proxy::test
