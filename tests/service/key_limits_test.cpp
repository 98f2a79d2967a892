// Keys from a file: whose they are, what they may do, and how they change while the service runs.
#include "actors/service/service_parts.hpp"
#include "support/keys_file.hpp"
#include "support/raw_requests.hpp"
#include "support/scripted_upstream.hpp"

#include <algorithm>
#include <string>
#include <thread>
#include <vector>

namespace llm_proxy::test {

namespace {

using namespace std::chrono_literals;

settings with_keys(settings values, const keys_file& file) {
  values.internal_api_keys_file = file.path();
  return values;
}

response models_by(const proxy& service, const std::string& key) {
  return request(service.port(), "GET", "/v1/models", {{"x-internal-auth", key}});
}

response chat_by(const proxy& service, const std::string& key, std::string_view body,
                 std::string_view path = "/v1/chat/completions") {
  return request(service.port(), "POST", path,
                 {{"authorization", "Bearer " + key}, {"content-type", "application/json"}}, body);
}

/// Returns a connection with a stream of that key, which does not end by itself.
raw_connection stream_by(const proxy& service, const std::string& key, bool await = true) {
  raw_connection client{service.port()};
  REQUIRE(client.send(make_request("POST", "/v1/chat/completions", {{"host", "x"}, {"x-api-key", key}},
                                   chat_body("m", true, "a b c"))));
  if (await) REQUIRE(client.read_until("\n\n", patience).end == read_end::done);
  return client;
}

settings slow_mock() {
  auto values = mock_settings();
  values.mock_chunk_delay_ms = 1h;
  return values;
}

}  // namespace

TEST_CASE("keys: a file's keys are accepted beside the internal one, in any of the headers",
          "[service][key]") {
  const keys_file file{{{"team-a", "key-a"}, {"team-b", "key-b"}, {"team-b", "key-b2"}}};
  proxy service{with_keys(mock_settings(), file)};
  for (const char* key : {"key-a", "key-b", "key-b2"}) {
    for (const auto& headers : std::vector<header_list>{{{"x-internal-auth", key}},
                                                        {{"authorization", "Bearer " + std::string{key}}},
                                                        {{"x-api-key", key}}})
      CHECK(request(service.port(), "GET", "/v1/models", headers).status == 200);
  }
  CHECK(models_by(service, std::string{test_key}).status == 200);
  for (const char* key : {"key-c", "key-", "", "team-a"}) CHECK(models_by(service, key).status == 401);
  CHECK(models_by(service, sha256_hex("key-a")).status == 401);
  CHECK(service.parts().keys->find("key-a")->rules->last_use->load() > 1'700'000'000);
  CHECK(service.parts().keys->internal->last_use->load() > 1'700'000'000);
}

TEST_CASE("keys: with a file of keys the default key is invalid", "[service][key]") {
  const keys_file file{{{"team-a", "key-a"}}};
  auto values = with_keys(mock_settings(), file);
  values.internal_api_key = settings{}.internal_api_key;
  proxy service{values};
  CHECK(models_by(service, "key-a").status == 200);
  CHECK(models_by(service, values.internal_api_key).status == 401);
  CHECK(models_by(service, "").status == 401);
}

TEST_CASE("keys: an expired key is a 401 that says so", "[service][key]") {
  const keys_file file{{{"old", "key-old", R"("expires":"2020-01-01T00:00:00Z")"},
                        {"new", "key-new", R"("expires":"2999-01-01T00:00:00Z")"}}};
  proxy service{with_keys(mock_settings(), file)};
  CHECK(models_by(service, "key-new").status == 200);
  const auto refused = models_by(service, "key-old");
  CHECK(refused.status == 401);
  CHECK(holds(refused.body, "This key has expired."));
  CHECK(holds(refused.body, R"("code":"unauthorized")"));
}

TEST_CASE("keys: a model outside a key's list is a 403, however the request names it", "[service][key]") {
  const keys_file file{{{"some", "key", R"("models":["gpt-*","exact","cheap"])"}, {"all", "free"}}};
  scripted_upstream up;
  auto values = with_keys(litellm_settings(up.url()), file);
  values.model_aliases = {{"fast", "gpt-mini"}, {"cheap", "claude-x"}, {"bad", "claude-x"}};
  values.default_model = "gpt-default";
  values.passthrough_paths = {"/v1/skills"};
  proxy service{values};
  for (const char* good : {"gpt-4o", "exact", "fast", "cheap", ""})
    CHECK(chat_by(service, "key", chat_body(good)).status == 200);
  // Only POST requests are counted, because the model list may be fetched at any time.
  const auto posts = [&] {
    const auto all = up.requests();
    return std::count_if(all.begin(), all.end(), [](const auto& got) { return got.method == "POST"; });
  };
  const auto before = posts();
  for (const char* bad : {"claude-x", "bad", "exact2", "gpt-4o,claude-x", "*"}) {
    const auto refused = chat_by(service, "key", chat_body(bad));
    CHECK(refused.status == 403);
    CHECK(holds(refused.body, R"("type":"permission_error","param":"model","code":"model_not_allowed")"));
    CHECK(refused.header("x-llm-proxy-error-source") == "client");
    CHECK(chat_by(service, "free", chat_body(bad)).status == 200);
  }
  CHECK(chat_by(service, "key", chat_body("gpt-4o"), "/v1/chat/completions?model=claude-x").status == 403);
  CHECK(chat_by(service, "key",
                R"({"model":"gpt-4o","messages":[{"role":"user","content":"x"}],"fallbacks":["claude-x"]})")
            .status == 403);
  CHECK(chat_by(service, "key", R"({"input":"x"})", "/v1/moderations").status == 403);
  for (const char* path : {"/v1/audio/transcriptions", "/v1/skills"})
    CHECK(request(service.port(), "POST", path,
                  {{"x-api-key", "key"}, {"content-type", "multipart/form-data; boundary=b"}},
                  "--b\r\ncontent-disposition: form-data; name=\"model\"\r\n\r\nclaude-x\r\n--b--\r\n")
              .status == 403);
  const auto anthropic =
      request(service.port(), "POST", "/v1/messages", {{"x-api-key", "key"}},
              R"({"model":"claude-x","max_tokens":1,"messages":[{"role":"user","content":"x"}]})");
  CHECK(anthropic.status == 403);
  CHECK(holds(anthropic.body, R"("type":"permission_error")"));
  CHECK(posts() == before + 5);  // the requests of the other key
}

TEST_CASE("keys: over rpm a request is a 429 with retry-after and x-ratelimit headers, for that name only",
          "[service][key][limit]") {
  const keys_file file{{{"slow", "key", R"("rpm":3)"}, {"slow", "key-2", R"("rpm":3)"}, {"other", "free"}}};
  proxy service{with_keys(mock_settings(), file)};
  for (const char* key : {"key", "key-2", "key"}) CHECK(chat_by(service, key, chat_body("m")).status == 200);
  for (const char* key : {"key", "key-2"}) {
    const auto refused = chat_by(service, key, chat_body("m"));
    CHECK(refused.status == 429);
    CHECK(holds(refused.body, R"("type":"rate_limit_error","param":null,"code":"rate_limit_exceeded")"));
    const auto wait = std::stoi("0" + refused.header("retry-after"));
    CHECK(wait > 10);
    CHECK(wait <= 20);
    CHECK(refused.header("x-ratelimit-limit-requests") == "3");
    CHECK(refused.header("x-ratelimit-remaining-requests") == "0");
    CHECK(refused.has("x-ratelimit-reset-requests"));
    CHECK(refused.header("x-should-retry") == "true");
    CHECK(models_by(service, key).status == 200);  // only requests to a model count
  }
  for (int i = 0; i < 5; ++i) CHECK(chat_by(service, "free", chat_body("m")).status == 200);
}

TEST_CASE("keys: counting tokens does not count for rpm, but takes a place of max_concurrent",
          "[service][key][limit]") {
  const keys_file file{{{"slow", "key", R"("rpm":1)"}, {"few", "busy", R"("max_concurrent":1)"}}};
  auto values = with_keys(slow_mock(), file);
  proxy service{values};
  const auto count = [&](const std::string& key) {
    return chat_by(service, key, chat_body("m"), "/v1/messages/count_tokens");
  };
  for (int i = 0; i < 5; ++i) CHECK(count("key").status == 200);
  CHECK(chat_by(service, "key", chat_body("m")).status == 200);
  CHECK(chat_by(service, "key", chat_body("m")).status == 429);
  CHECK(count("key").status == 200);
  const auto open = stream_by(service, "busy");
  const auto refused = count("busy");
  CHECK(refused.status == 429);
  CHECK(holds(refused.body, "1 concurrent requests"));
}

TEST_CASE("keys: tpm counts the tokens that upstream reports for a request, streamed or not",
          "[service][key][limit]") {
  const keys_file file{{{"a", "plain", R"("tpm":30)"}, {"b", "stream", R"("tpm":30)"}}};
  proxy service{with_keys(mock_settings(), file)};
  for (const bool stream : {false, true}) {
    const std::string key = stream ? "stream" : "plain";
    INFO(key);
    int answered = 0;
    while (answered < 50 && chat_by(service, key, chat_body("m", stream, "one two three")).status == 200)
      ++answered;
    CHECK(answered >= 1);
    CHECK(answered < 20);
    const auto refused = chat_by(service, key, chat_body("m"));
    CHECK(refused.status == 429);
    CHECK(refused.header("x-ratelimit-limit-tokens") == "30");
    CHECK(refused.header("x-ratelimit-remaining-tokens") == "0");
  }
}

TEST_CASE("keys: max_concurrent applies to all threads together, and queued requests are served later",
          "[service][key][limit]") {
  const keys_file file{{{"few", "key", R"("max_concurrent":2)"}, {"other", "free"}}};
  for (const std::size_t queue : {0, 1}) {
    auto values = with_keys(slow_mock(), file);
    values.queue_size = queue;
    proxy service{values};
    auto first = stream_by(service, "key");
    auto second = stream_by(service, "key");
    std::vector<raw_connection> waiting;
    for (std::size_t i = 0; i < queue; ++i) {
      waiting.push_back(stream_by(service, "key", false));
      REQUIRE(eventually([&] { return service.parts().gauges->waiting == i + 1; }));
    }
    for (int i = 0; i < 4; ++i) {
      const auto refused = chat_by(service, "key", chat_body("m"));
      CHECK(refused.status == 429);
      CHECK(refused.has("retry-after"));
      CHECK(holds(refused.body, "limit of 2 concurrent requests"));
      CHECK(chat_by(service, "free", chat_body("m")).status == 200);
    }
    first.reset();
    for (auto& client : waiting) CHECK(client.read_until("\n\n", patience).end == read_end::done);
    second.close();
    waiting.clear();
    CHECK(eventually([&] { return service.parts().gauges->slots == 0; }));
    CHECK(chat_by(service, "key", chat_body("m")).status == 200);
  }
}

TEST_CASE("limit: after QUEUE_TIMEOUT a waiting request is a 503 with retry-after", "[service][limit]") {
  auto values = slow_mock();
  values.max_concurrent_requests = 1;
  values.queue_size = 5;
  values.queue_timeout = 200ms;
  proxy service{values};
  const auto busy = stream_by(service, std::string{test_key});
  const auto since = test_clock::now();
  const auto refused = chat(service, chat_body("m"));
  CHECK(refused.status == 503);
  CHECK(refused.has("retry-after"));
  CHECK(test_clock::now() - since >= 200ms);
  CHECK(service.parts().gauges->waiting == 0);
}

TEST_CASE("limit: clients that come and go at every moment leave no slot taken", "[service][limit]") {
  auto values = mock_settings();
  values.max_concurrent_requests = 3;
  values.queue_size = 20;
  values.mock_chunk_delay_ms = 3ms;
  proxy service{values};
  std::vector<std::thread> crowd;
  for (int t = 0; t < 4; ++t) {
    crowd.emplace_back([&service, t] {
      for (int i = 0; i < 60; ++i) {
        raw_connection client{service.port()};
        const auto bytes = chat_bytes(chat_body("m", i % 2 == 0, "a b c d"));
        // The clients leave at times from the middle of the request to the middle of the answer.
        client.send(std::string_view{bytes}.substr(0, i % 3 == 0 ? bytes.size() - 5 : bytes.size()));
        std::this_thread::sleep_for(milliseconds{(i * 7 + t) % 12});
        i % 2 == 0 ? client.reset() : client.close();
      }
    });
  }
  for (auto& each : crowd) each.join();
  CHECK(
      eventually([&] { return service.parts().gauges->slots == 0 && service.parts().gauges->waiting == 0; }));
  CHECK(service.in_flight() == 0);
  for (int i = 0; i < 5; ++i) CHECK(chat(service, chat_body("m")).status == 200);
}

TEST_CASE("limit: above MAX_MEMORY a request is refused before its body is read", "[service][limit]") {
  auto values = mock_settings();
  values.max_memory = 1;
  proxy service{values};
  raw_connection client{service.port()};
  REQUIRE(client.send("POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\n" + key_line +
                      "content-length: 1000\r\nexpect: 100-continue\r\n\r\n"));
  const auto refused = read_response(client, patience);
  CHECK(refused.status == 503);
  CHECK(refused.interim.empty());
  CHECK(refused.has("retry-after"));
  CHECK(holds(refused.body, "limit of memory"));
  CHECK(request(service.port(), "GET", "/health").status == 200);
  auto roomy = mock_settings();
  roomy.max_memory = std::size_t{1} << 40;
  proxy other{roomy};
  CHECK(chat(other, chat_body("m")).status == 200);
}

TEST_CASE("keys: after a reload new keys work and removed ones do not, and requests in flight go on",
          "[service][key]") {
  keys_file file{{{"old", "key-old"}, {"kept", "key-kept", R"("max_concurrent":1)"}}};
  proxy service{with_keys(slow_mock(), file)};
  auto stream = stream_by(service, "key-old");
  stream.buffer().clear();  // drops the end of the chunk, which came with the event
  const auto kept = stream_by(service, "key-kept");
  file.write({{"kept", "key-kept", R"("max_concurrent":1)"}, {"new", "key-new"}});
  CHECK(service.reload_keys().empty());
  // Each thread gets the new keys in its own time.
  REQUIRE(eventually([&] { return models_by(service, "key-old").status == 401; }));
  for (int i = 0; i < 8; ++i) {
    CHECK(eventually([&] { return models_by(service, "key-new").status == 200; }));
    CHECK(chat_by(service, "key-kept", chat_body("m")).status == 429);
  }
  CHECK(stream.stays_quiet(50ms));
  file.write_raw(R"({"keys":[{"name":"x"}]})");
  CHECK(service.reload_keys().size() == 1);
  CHECK(models_by(service, "key-new").status == 200);
  file.remove();
  CHECK(service.reload_keys().size() == 1);
  CHECK(models_by(service, "key-new").status == 200);
  CHECK(stream.stays_quiet(50ms));
}

}  // namespace llm_proxy::test
