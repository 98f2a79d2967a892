// Runs the built program with canaries as secrets, and checks that none of them appears in any output. Also
// tests keys that change on SIGHUP.
#include "support/child_process.hpp"
#include "support/keys_file.hpp"
#include "support/raw_requests.hpp"
#include "support/scripted_upstream.hpp"

#include <csignal>
#include <map>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace llm_proxy::test {

namespace {

using environment = std::map<std::string, std::string>;

const std::string program = LLM_PROXY_BINARY;
/// A long timeout, because sanitized builds start and stop slowly.
constexpr milliseconds long_patience{20'000};

child_process::options with(environment values) {
  values.emplace("LLM_PROXY__PORT", "0");
  values.emplace("LLM_PROXY__THREADS", "2");
  child_process::options how;
  how.environment = std::move(values);
  return how;
}

std::uint16_t port_of(child_process& service) {
  const std::string before = "listens on 127.0.0.1:";
  if (!service.wait_for_output(before, long_patience) || !service.wait_for_output("\n", long_patience))
    return 0;
  return static_cast<std::uint16_t>(
      std::stoi(service.out().substr(service.out().find(before) + before.size(), 5)));
}

/// Answers as LiteLLM does. The model of a request says how: with success, or with one of many errors. An
/// error about a refused key contains that key, as LiteLLM's does.
void moody(const upstream_request& req, upstream_reply& reply) {
  const auto model = req.text("model");
  if (req.method == "GET") {
    reply.json(200, R"({"data":[{"id":"m"}]})");
  } else if (model == "auth") {
    reply.json(401,
               R"({"error":{"message":"Authentication Error, Invalid proxy server token passed. Received )" +
                   req.header("authorization") + R"(","type":"auth_error","param":"key","code":"401"}})");
  } else if (model == "status") {
    reply.json(500, R"({"error":{"message":"Traceback: File \"x.py\"","type":"None","code":"500"}})");
  } else if (model == "limit") {
    reply.json(429, R"({"error":{"message":"slow down","type":"rate_limit_error","code":"429"}})");
  } else if (model == "html") {
    reply.head(200, {{"content-type", "text/html"}, {"content-length", "6"}});
    reply.send("<html>");
  } else if (model == "garbage") {
    reply.send("no HTTP at all\r\n\r\n");
    reply.close();
  } else if (model == "reset") {
    reply.reset();
  } else if (req.is_true("stream")) {
    reply.sse_head();
    reply.event(R"({"choices":[{"index":0,"delta":{"content":"x"},"finish_reason":null}]})");
    if (model == "cut") {
      reply.reset();
      return;
    }
    if (model == "slow") std::this_thread::sleep_for(milliseconds{700});
    reply.event(R"({"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]})");
    reply.event("[DONE]");
    reply.end_chunks();
  } else {
    reply.json(200, R"({"choices":[{"index":0,"message":{"role":"assistant","content":"x"}}]})");
  }
}

}  // namespace

TEST_CASE("secrets: no key, credential, content or query appears in any log line or answer, even at TRACE",
          "[service][program]") {
  scripted_upstream up{moody};
  keys_file file{{{"good", "CANARY-good"},
                  {"expired", "CANARY-expired", R"("expires":"2020-01-01T00:00:00Z")"},
                  {"slow", "CANARY-slow", R"("rpm":1)"},
                  {"some", "CANARY-some", R"("models":["m"])"}}};
  for (const std::string style : {"normalized", "raw"}) {
    child_process service{program, with({{"LLM_PROXY__LOG_LEVEL", "TRACE"},
                                         {"LLM_PROXY__ERROR_STYLE", style},
                                         {"LLM_PROXY__LITELLM_PROXY_URL", up.url()},
                                         {"LLM_PROXY__LITELLM_API_KEY", "CANARY-upstream"},
                                         {"LLM_PROXY__INTERNAL_API_KEY", "CANARY-internal"},
                                         {"LLM_PROXY__INTERNAL_API_KEYS_FILE", file.path()}})};
    const auto port = port_of(service);
    REQUIRE(port != 0);
    std::string answers;
    const auto ask = [&](const header_list& headers, std::string_view body,
                         std::string_view target = "/v1/chat/completions?q=CANARY-query") {
      const auto got = request(port, "POST", target, headers, body);
      answers += got.head + got.body;
      return got.status;
    };
    const header_list good{{"x-internal-auth", "CANARY-good"}, {"cookie", "CANARY-cookie"}};
    for (const bool stream : {false, true}) {
      CHECK(ask(good, chat_body("m", stream, "CANARY-prompt")) == 200);
      CHECK(ask({{"authorization", "Bearer CANARY-internal"}}, chat_body("m", stream, "CANARY-prompt")) ==
            200);
      CHECK(ask({{"x-api-key", "CANARY-wrong"}}, chat_body("m", stream)) == 401);
      CHECK(ask({{"authorization", "Bearer CANARY-wrong"}}, chat_body("m", stream)) == 401);
      CHECK(ask({{"authorization", "Basic CANARY-basic"}}, chat_body("m", stream)) == 401);
      CHECK(ask({{"x-api-key", "CANARY-expired"}}, chat_body("m", stream)) == 401);
      CHECK(ask({{"x-api-key", "CANARY-some"}}, chat_body("other", stream, "CANARY-prompt")) == 403);
      CHECK(ask(good, chat_body("auth", stream, "CANARY-prompt")) == 502);
      for (const char* model : {"status", "limit", "html", "garbage", "reset", "cut"})
        ask(good, chat_body(model, stream, "CANARY-prompt"));
    }
    CHECK(ask({{"x-api-key", "CANARY-slow"}}, chat_body("m")) == 200);
    CHECK(ask({{"x-api-key", "CANARY-slow"}}, chat_body("m")) == 429);
    CHECK(ask(good, R"({"CANARY-json":)") == 400);
    CHECK(ask(good, R"({"model":"m","messages":[{"role":["CANARY-shape"]}]})") == 422);
    CHECK(ask(good, "{}", "/v1/nowhere?CANARY-query") == 404);
    answers += say(port, "GET / HTTP/1.1\r\nhost: x\r\nx-api-key: CANARY-good\r\nCANARY-line\r\n\r\n").body;
    answers += say(port, "GET / HTTP/1.1\r\nx-api-key: CANARY-good\r\n\r\n").body;
    answers += say(port, "CANARY-method / HTTP/1.1\r\nhost: x\r\n\r\n").body;
    // Also read what is shown for monitoring: the dashboard's events during the requests, and then the
    // metrics.
    {
      raw_connection watcher{port};
      REQUIRE(
          watcher.send("GET /ui/events?q=CANARY-query HTTP/1.1\r\nhost: x\r\n"
                       "authorization: Bearer CANARY-internal\r\n\r\n"));
      event_stream events{watcher};
      REQUIRE(events.open(patience));
      raw_connection running{port};
      REQUIRE(running.send(make_request("POST", "/v1/chat/completions?q=CANARY-query",
                                        {{"host", "x"}, {"x-api-key", "CANARY-good"}},
                                        chat_body("slow", true, "CANARY-prompt"))));
      bool ran = false, ended = false;
      const auto until = test_clock::now() + patience;
      while (!(ran && ended) && test_clock::now() < until) {
        const auto event = events.next(patience);
        REQUIRE(event);
        answers += event->data;
        ran = ran || holds(event->data, R"("model":"slow")");
        ended = ended || (ran && holds(event->data, R"("verdict":"complete")"));
      }
      CHECK(ran);
      CHECK(ended);
    }
    CHECK(request(port, "GET", "/metrics", good).status == 403);
    const auto metrics =
        request(port, "GET", "/metrics?q=CANARY-query", {{"x-internal-auth", "CANARY-internal"}});
    CHECK(metrics.status == 200);
    CHECK(holds(metrics.body, "key=\"good\""));
    answers += metrics.head + metrics.body;
    raw_connection leaving{port};
    REQUIRE(
        leaving.send("POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nx-api-key: CANARY-good\r\n"
                     "content-length: 100\r\n\r\nCANARY-half"));
    leaving.reset();
    // A faulty file of keys, with keys in the wrong members.
    file.write_raw(R"({"keys":[{"name":"CANARY name","sha256":"CANARY-good","CANARY-member":1}]})");
    service.signal(SIGHUP);
    CHECK(service.wait_for_output("keys stay as they were", long_patience));
    CHECK(ask(good, chat_body("m")) == 200);
    file.write({{"good", "CANARY-good"},
                {"expired", "CANARY-expired", R"("expires":"2020-01-01T00:00:00Z")"},
                {"slow", "CANARY-slow", R"("rpm":1)"},
                {"some", "CANARY-some", R"("models":["m"])"}});
    service.signal(SIGTERM);
    CHECK(service.wait(long_patience) == 0);
    for (const auto* output : {&service.out(), &service.err(), &std::as_const(answers)}) {
      const auto at = output->find("CANARY");
      INFO(style << ": " << (at == std::string::npos ? "" : output->substr(at < 300 ? 0 : at - 300, 400)));
      CHECK(at == std::string::npos);
      for (const char* key : {"CANARY-good", "CANARY-upstream", "CANARY-internal"})
        CHECK_FALSE(holds(*output, sha256_hex(key)));
    }
    // The log has the names of the keys instead.
    for (const char* name : {"good", "slow", "some", "default"})
      CHECK(holds(service.out(), "\"key\":\"" + std::string{name} + "\""));
    CHECK(holds(service.out(), "\"verdict\":\"rejected_limit\""));
  }
}

TEST_CASE("secrets: no command shows a key or the text of a question, whether it succeeds or fails",
          "[service][program]") {
  scripted_upstream up{moody};
  keys_file file{{{"good", "CANARY-good"}}};
  const environment configured{{"LLM_PROXY__LITELLM_PROXY_URL", up.url()},
                               {"LLM_PROXY__LITELLM_API_KEY", "CANARY-upstream"},
                               {"LLM_PROXY__INTERNAL_API_KEY", "CANARY-internal"},
                               {"LLM_PROXY__INTERNAL_API_KEYS_FILE", file.path()}};
  child_process service{program, with(configured)};
  const auto port = port_of(service);
  REQUIRE(port != 0);
  std::string said;
  const auto run = [&](std::vector<std::string> arguments, environment values) {
    auto how = with(std::move(values));
    how.environment["LLM_PROXY__PORT"] = std::to_string(port);
    how.arguments = std::move(arguments);
    child_process command{program, how};
    const int code = command.wait(long_patience);
    said += command.out() + command.err();
    return code;
  };
  const auto asking = [&](const std::string& key) {
    auto values = configured;
    values["LLM_PROXY__INTERNAL_API_KEY"] = key;
    return values;
  };
  CHECK(run({"chat", "-m", "m", "CANARY-prompt"}, configured) == 0);
  for (const char* model : {"auth", "status", "limit", "html", "garbage", "reset", "cut"})
    CHECK(run({"chat", "-m", model, "CANARY-prompt"}, configured) == 1);
  CHECK(run({"chat", "-m", "m", "CANARY-prompt"}, asking("CANARY-wrong")) == 1);
  CHECK(run({"models"}, configured) == 0);
  CHECK(run({"models"}, asking("CANARY-wrong")) == 1);
  CHECK(run({"health"}, configured) == 0);
  CHECK(run({"keys", "list"}, configured) == 0);
  CHECK(run({"keys", "revoke", "nobody"}, configured) == 1);
  for (const char* option : {"--print-config", "--check-config"}) {
    CHECK(run({option}, configured) == 0);
    // These keys are invalid. The error messages must not show them.
    CHECK(run({option}, {{"LLM_PROXY__INTERNAL_API_KEY", "CANARY\x01"},
                         {"LLM_PROXY__LITELLM_API_KEY", "CANARY\nkey"},
                         {"LLM_PROXY__LITELLM_PROXY_URL", "http://CANARY:CANARY@h"},
                         {"LLM_PROXY__INTERNAL_API_KEYS_FILE", file.path()}}) == 2);
  }
  file.write_raw(R"({"keys":[{"name":"CANARY name","sha256":"CANARY-good"}]})");
  CHECK(run({"keys", "list"}, configured) == 1);
  CHECK(run({"keys", "add", "other"}, configured) == 1);
  CHECK(run({}, configured) == 2);
  INFO(said);
  CHECK_FALSE(holds(said, "CANARY"));
  for (const char* key : {"CANARY-good", "CANARY-upstream", "CANARY-internal"})
    CHECK_FALSE(holds(said, sha256_hex(key)));
}

TEST_CASE("program: with a faulty file of keys it names every fault and exits with 2", "[service][program]") {
  keys_file file{{}};
  file.write_raw(R"({"keys":[{"name":"a","sha256":"short"},{"sha256":"short","rpm":0}]})");
  for (const char* argument : {"", "--check-config"}) {
    auto how = with({{"LLM_PROXY__LLM_MODE", "mock"},
                     {"LLM_PROXY__INTERNAL_API_KEYS_FILE", file.path()},
                     {"LLM_PROXY__IDLE_TIMEOUT", "soon"}});
    if (*argument != '\0') how.arguments = {argument};
    child_process service{program, how};
    CHECK(service.wait(long_patience) == 2);
    for (const char* fault :
         {"LLM_PROXY__IDLE_TIMEOUT", "LLM_PROXY__INTERNAL_API_KEYS_FILE: keys[0].sha256: ",
          "keys[1].sha256: ", "keys[1].name: ", "keys[1].rpm: "})
      CHECK(holds(service.err(), fault));
  }
  file.remove();
  child_process missing{program, with({{"LLM_PROXY__INTERNAL_API_KEYS_FILE", file.path()}})};
  CHECK(missing.wait(long_patience) == 2);
  CHECK(holds(missing.err(), "No such file"));
}

TEST_CASE("program: SIGHUP reads the keys again, and a stream goes on", "[service][program]") {
  keys_file file{{{"old", "key-old"}}};
  child_process service{program, with({{"LLM_PROXY__LLM_MODE", "mock"},
                                       {"LLM_PROXY__MOCK_CHUNK_DELAY_MS", "300"},
                                       {"LLM_PROXY__INTERNAL_API_KEYS_FILE", file.path()}})};
  const auto port = port_of(service);
  REQUIRE(port != 0);
  const auto status = [port](const std::string& key) {
    return request(port, "GET", "/v1/models", {{"x-api-key", key}}).status;
  };
  raw_connection client{port};
  REQUIRE(client.send(make_request("POST", "/v1/chat/completions",
                                   {{"x-api-key", "key-old"}, {"connection", "close"}},
                                   chat_body("m", true, "a b c d e f"))));
  REQUIRE(client.read_until("\n\n", patience).end == read_end::done);
  CHECK(status("key-new") == 401);
  file.write({{"new", "key-new"}});
  service.signal(SIGHUP);
  CHECK(eventually([&] { return status("key-old") == 401 && status("key-new") == 200; }));
  CHECK(holds(client.read_to_end(patience).bytes, "data: [DONE]\n\n\r\n0\r\n\r\n"));
  service.signal(SIGTERM);
  CHECK(service.wait(long_patience) == 0);
}

}  // namespace llm_proxy::test
