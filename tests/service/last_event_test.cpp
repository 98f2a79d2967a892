// A stream ends with the last event of its dialect. Nothing that comes after it changes the outcome, and
// neither does a client that leaves then. The last event of another dialect does not end a stream. An error
// in the middle of a stream has the form of the client's dialect.
#include "http/answer/litellm_error.hpp"
#include "support/catch.hpp"
#include "support/upstream_chat.hpp"

#include <algorithm>
#include <string>
#include <vector>

namespace llm_proxy::test {

namespace {

/// A streaming endpoint, with the first half of an answer and the event that ends a whole one.
struct endpoint_sample {
  std::string path;
  std::string body;
  std::string begun;
  std::string last;
};

std::string named(const std::string& name, const std::string& members = {}) {
  return "event: " + name + "\ndata: {\"type\":\"" + name + "\"" + members + "}\n\n";
}

const std::string done = "data: [DONE]\n\n";
const std::string output_delta = named("response.output_text.delta", R"(,"sequence_number":4,"delta":"x")");
const std::string message_start =
    named("message_start", R"(,"message":{"id":"m","usage":{"input_tokens":1,"output_tokens":1}})");

const endpoint_sample chat_sample{"/v1/chat/completions", chat_body("m", true),
                                  event_of(delta) + event_of(stop), done};
const endpoint_sample completion_sample{"/v1/completions", R"({"model":"m","prompt":"p","stream":true})",
                                        event_of(R"({"choices":[{"index":0,"text":"x"}]})"), done};
const endpoint_sample message_sample{
    "/v1/messages",
    R"({"model":"m","max_tokens":9,"messages":[{"role":"user","content":"x"}],"stream":true})", message_start,
    named("message_stop")};

endpoint_sample response_sample(const std::string& end) {
  return {"/v1/responses", R"({"model":"m","input":"x","stream":true})", output_delta,
          named("response." + end, R"(,"sequence_number":5,"response":{"id":"r","status":")" + end + "\"}")};
}

std::vector<endpoint_sample> all_samples() {
  return {chat_sample, completion_sample, message_sample, response_sample("completed"),
          response_sample("incomplete")};
}

std::string post(const endpoint_sample& sample) {
  return make_request("POST", sample.path, {{"host", "x"}, key_field}, sample.body);
}

/// Returns how many requests of that path have ended with that verdict.
double count_of(const proxy& service, std::string_view path, std::string_view verdict) {
  const auto text = get(service, "/metrics").body;
  const auto sample = "llm_proxy_requests_total{route=\"" + std::string{path} +
                      "\",status=\"200\",verdict=\"" + std::string{verdict} + "\"} ";
  const auto at = text.find(sample);
  return at == std::string::npos ? 0 : std::stod(text.substr(at + sample.size()));
}

bool soon_counts(const proxy& service, std::string_view path, std::string_view verdict, double count) {
  return eventually([&] { return count_of(service, path, verdict) == count; });
}

std::size_t connections_of_chats(const scripted_upstream& up) {
  std::vector<std::size_t> used;
  for (const auto& each : chats_of(up)) used.push_back(each.connection);
  std::sort(used.begin(), used.end());
  return static_cast<std::size_t>(std::unique(used.begin(), used.end()) - used.begin());
}

}  // namespace

TEST_CASE("last event: a client that leaves after it was served, and its upstream connection is kept",
          "[service][upstream][stream][last_event]") {
  for (const auto& sample : all_samples()) {
    CAPTURE(sample.path, sample.last);
    scripted_upstream up{chats([&](const auto&, auto& reply) {
      reply.sse_head();
      reply.chunk(sample.begun + sample.last);
      reply.sleep(milliseconds{20});  // the client leaves in this time
      reply.end_chunks();
    })};
    auto values = litellm_settings(up.url());
    values.threads = 1;
    proxy service{values};
    constexpr int rounds = 10;
    for (int i = 0; i < rounds; ++i) {
      raw_connection client{service.port()};
      REQUIRE(client.send(post(sample)));
      REQUIRE(client.read_until(sample.last, milliseconds{5000}).end == read_end::done);
      if (i % 2 == 0) client.reset();
      client.close();
      REQUIRE(soon_counts(service, sample.path, "complete", i + 1));
      std::this_thread::sleep_for(milliseconds{40});
    }
    CHECK(count_of(service, sample.path, "client_gone") == 0);
    CHECK(connections_of_chats(up) == 1);
  }
}

TEST_CASE("last event: a client that leaves before it was not served, even if upstream sent everything",
          "[service][upstream][stream][last_event]") {
  // The answer is larger than the sockets' buffers, so its end is still in the service when the client
  // leaves.
  const std::string large = event_of(R"({"choices":[{"index":0,"delta":{"content":")" +
                                     std::string(12'000, 'x') + R"("},"finish_reason":null}]})");
  gate sent;
  scripted_upstream up{chats([&](const auto&, auto& reply) {
    reply.sse_head();
    for (int i = 0; i < 400; ++i) reply.chunk(large);
    reply.chunk(done);
    sent.open();
    reply.hang();
  })};
  proxy service{litellm_settings(up.url())};
  raw_connection client{service.port(), {.receive_buffer = 4096}};
  REQUIRE(send_chat(client, chat_body("m", true)));
  REQUIRE(client.read_until("\r\n\r\n", milliseconds{5000}).end == read_end::done);
  sent.wait(milliseconds{500});
  client.reset();
  CHECK(soon_counts(service, "/v1/chat/completions", "client_gone", 1));
}

TEST_CASE("last event: an upstream that stays open after it neither delays the client nor causes an error",
          "[service][upstream][stream][last_event]") {
  for (const auto& sample : all_samples()) {
    CAPTURE(sample.path, sample.last);
    std::atomic<bool> closed_late{false};
    scripted_upstream up{chats([&](const auto&, auto& reply) {
      reply.sse_head();
      reply.chunk(sample.begun + sample.last);
      reply.chunk(": bye\n\n");
      const auto before = test_clock::now();
      const auto closed = reply.wait_until_closed(milliseconds{10'000});
      closed_late = closed && *closed - before > milliseconds{900};
    })};
    auto values = litellm_settings(up.url());
    values.idle_timeout = milliseconds{60'000};
    proxy service{values};
    raw_connection client{service.port()};
    REQUIRE(client.send(post(sample)));
    const auto before = test_clock::now();
    const auto answer = read_response(client, milliseconds{5000});
    CHECK(test_clock::now() - before >= milliseconds{150});
    CHECK(answer.complete);
    CHECK(answer.body == sample.begun + sample.last + ": bye\n\n");
    CHECK(soon_counts(service, sample.path, "complete", 1));
    // The upstream connection is closed if it does not end within a second.
    CHECK(eventually([&] { return closed_late.load(); }));
    // The client's connection can still be used.
    REQUIRE(client.send(make_request("GET", "/health")));
    CHECK(read_response(client, milliseconds{5000}).status == 200);
  }
}

TEST_CASE("last event: an upstream that breaks or goes on sending after it changes nothing",
          "[service][upstream][stream][last_event]") {
  for (const std::string how : {"reset", "cut", "bad-chunk", "talks"}) {
    for (const auto& sample : all_samples()) {
      CAPTURE(how, sample.path, sample.last);
      scripted_upstream up{chats([&](const auto&, auto& reply) {
        reply.sse_head();
        reply.chunk(sample.begun + sample.last);
        reply.sleep(milliseconds{30});
        if (how == "reset") reply.reset();
        if (how == "cut") reply.close();
        if (how == "bad-chunk") reply.send("zz\r\n");
        while (how == "talks" && reply.chunk(": " + std::string(4000, 'x') + "\n\n")) {
        }
      })};
      proxy service{litellm_settings(up.url())};
      raw_connection client{service.port()};
      REQUIRE(client.send(post(sample)));
      const auto answer = read_response(client, milliseconds{10'000});
      CHECK(answer.complete);
      CHECK(answer.body.starts_with(sample.begun + sample.last));
      CHECK_FALSE(contains(answer.body, "error"));
      CHECK(soon_counts(service, sample.path, "complete", 1));
      CHECK(up.closing_of(wait_for_chat(up).connection, milliseconds{3000}));
    }
  }
}

TEST_CASE("last event: after it REQUEST_TIMEOUT does not change the answer",
          "[service][upstream][stream][last_event]") {
  scripted_upstream up{chats([&](const auto&, auto& reply) {
    reply.sse_head();
    reply.chunk(event_of(delta) + done);
    reply.hang();
  })};
  auto values = litellm_settings(up.url());
  values.request_timeout = milliseconds{100};
  proxy service{values};
  const auto answer = chat(service, chat_body("m", true));
  CHECK(answer.complete);
  CHECK(answer.body == event_of(delta) + done);
  CHECK(soon_counts(service, "/v1/chat/completions", "complete", 1));
}

TEST_CASE("last event: [DONE] does not complete half an answer of another dialect",
          "[service][upstream][stream][last_event]") {
  for (const auto& sample :
       {message_sample, response_sample("completed"),
        endpoint_sample{"/v1/images/generations", R"({"model":"m","prompt":"p","stream":true})",
                        named("image_generation.partial_image"), named("image_generation.completed")}}) {
    CAPTURE(sample.path);
    scripted_upstream up;
    proxy service{litellm_settings(up.url())};
    for (const std::size_t piece : {std::size_t{5}, std::size_t{4096}}) {
      up.set_script(streams(sample.begun + done, piece));
      raw_connection client{service.port()};
      REQUIRE(client.send(post(sample)));
      const auto half = client.read_to_end(milliseconds{5000});
      CHECK(contains(half.bytes, "upstream_disconnected"));
      CHECK_FALSE(contains(half.bytes, "[DONE]"));
      CHECK_FALSE(half.bytes.ends_with("0\r\n\r\n"));
      // After the dialect's own last event [DONE] is passed on unchanged.
      up.set_script(streams(sample.begun + sample.last + done, piece));
      raw_connection second{service.port()};
      REQUIRE(second.send(post(sample)));
      const auto whole = read_response(second, milliseconds{5000});
      CHECK(whole.complete);
      CHECK(whole.body == sample.begun + sample.last + done);
    }
    CHECK(soon_counts(service, sample.path, "truncated", 2));
    CHECK(soon_counts(service, sample.path, "complete", 2));
  }
}

TEST_CASE("last event: response.failed is passed on unchanged and counts as upstream's error",
          "[service][upstream][stream][last_event]") {
  const auto sample = response_sample("failed");
  scripted_upstream up{streams(sample.begun + sample.last, 9)};
  proxy service{litellm_settings(up.url())};
  raw_connection client{service.port()};
  REQUIRE(client.send(post(sample)));
  const auto answer = read_response(client, milliseconds{5000});
  CHECK(answer.complete);
  CHECK(answer.body == sample.begun + sample.last);
  CHECK(soon_counts(service, sample.path, "upstream_error", 1));
}

TEST_CASE("stream: an error in the middle has the form of the client's dialect, and no [DONE] follows",
          "[service][upstream][stream]") {
  const std::string litellm = event_of(
      R"({"error":{"message":"litellm.APIError: down at http://10.0.0.7:4000","type":"None","param":"None","code":"503"}})");
  for (const auto& sample : {message_sample, response_sample("completed")}) {
    for (const auto wording : {error_wording::normalized, error_wording::raw}) {
      CAPTURE(sample.path, static_cast<int>(wording));
      scripted_upstream up{streams(sample.begun + litellm + done, 13)};
      auto values = litellm_settings(up.url());
      values.error_style = wording == error_wording::raw ? error_style::raw : error_style::normalized;
      proxy service{values};
      raw_connection client{service.port()};
      REQUIRE(client.send(post(sample)));
      const auto answer = read_response(client, milliseconds{5000});
      CHECK(answer.body.starts_with(sample.begun));
      CHECK_FALSE(contains(answer.body, "[DONE]"));
      CHECK(soon_counts(service, sample.path, "upstream_error", 1));
      const auto error = answer.body.substr(sample.begun.size());
      if (wording == error_wording::raw) {
        CHECK(error == litellm);
        continue;
      }
      CHECK_FALSE(contains(error, "10.0.0.7"));
      CHECK(error.starts_with("event: error\ndata: {\"type\":\"error\","));
      CHECK(contains(error, sample.path == "/v1/messages" ? R"("error":{"message":)" : R"("message":)"));
      CHECK(contains(
          error, sample.path == "/v1/messages" ? R"("type":"overloaded_error")" : R"("sequence_number":5)"));
    }
  }
}

TEST_CASE("stream: our own error event has the next sequence_number if the events are numbered",
          "[service][upstream][stream]") {
  const auto sample = response_sample("completed");
  scripted_upstream up{streams(sample.begun, 1000)};
  proxy service{litellm_settings(up.url())};
  raw_connection client{service.port()};
  REQUIRE(client.send(post(sample)));
  const auto all = client.read_to_end(milliseconds{5000});
  CHECK(contains(all.bytes, R"("code":"upstream_disconnected")"));
  CHECK(contains(all.bytes, R"("sequence_number":5,)"));
}

}  // namespace llm_proxy::test
