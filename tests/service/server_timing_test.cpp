// Server-Timing, which says where the time of a request went: as a header of answers that come from upstream,
// and as a comment at the end of a stream.
#include "actors/service/service_parts.hpp"
#include "support/catch.hpp"
#include "support/upstream_chat.hpp"

#include <algorithm>
#include <map>
#include <string>
#include <thread>
#include <vector>

namespace llm_proxy::test {

namespace {

/// Returns the metrics in a Server-Timing value, in milliseconds.
std::map<std::string, double> read_timing(const std::string& value) {
  std::map<std::string, double> all;
  for (std::size_t at = 0; at < value.size();) {
    const auto comma = std::min(value.find(", ", at), value.size());
    const auto metric = value.substr(at, comma - at);
    const auto equals = metric.find(";dur=");
    REQUIRE(equals != std::string::npos);
    CHECK(all.count(metric.substr(0, equals)) == 0);
    all[metric.substr(0, equals)] = std::stod(metric.substr(equals + 5));
    at = comma + 2;
  }
  return all;
}

std::map<std::string, double> timing_of(const response& answer) {
  const auto values = answer.all("server-timing");
  REQUIRE(values.size() == 1);
  return read_timing(values.front());
}

constexpr std::string_view answer_body = R"({"object":"chat.completion","choices":[]})";
const std::string two_events = event_of(delta) + event_of(stop);
constexpr std::string_view comment = ": server-timing ";

}  // namespace

TEST_CASE("server timing: an answer says how long each of its parts took", "[service][timing]") {
  scripted_upstream up{chats([](const auto&, upstream_reply& reply) {
    reply.sleep(milliseconds{60});
    reply.json(200, answer_body, {{"x-litellm-overhead-duration-ms", "18.224"}});
  })};
  auto values = litellm_settings(up.url());
  values.threads = 1;
  proxy service{values};
  const auto first = timing_of(chat(service, chat_body("m")));
  CHECK(first.at("queue") == 0);
  CHECK(first.at("auth") > 0);
  CHECK(first.at("auth") < first.at("total"));
  CHECK(first.at("first_byte") >= 60);
  CHECK(first.at("litellm") == 18.224);
  CHECK(first.at("total") >= first.at("first_byte") + first.at("auth"));
  // The second request uses the same upstream connection, so it does not connect.
  const auto second = timing_of(chat(service, chat_body("m")));
  CHECK(second.count("connect") == 0);
  CHECK(second.at("first_byte") >= 60);
}

TEST_CASE("server timing: the time to connect does not count as upstream's", "[service][timing]") {
  scripted_upstream up{chats([](const auto&, upstream_reply& reply) { reply.json(200, answer_body); })};
  auto values = litellm_settings(up.url());
  values.threads = 1;
  proxy service{values};
  // One of the two requests uses the connection over which the model list came. The other one has to connect.
  REQUIRE(eventually([&] { return up.request_count() >= 2; }));
  gate both;
  up.set_script(chats([&](const auto&, upstream_reply& reply) {
    both.wait();
    reply.json(200, answer_body);
  }));
  raw_connection one{service.port()}, two{service.port()};
  REQUIRE(send_chat(one, chat_body("m")));
  REQUIRE(send_chat(two, chat_body("m")));
  REQUIRE(eventually([&] { return chats_of(up).size() == 2; }));
  both.open();
  std::size_t connected = 0;
  for (auto* each : {&one, &two}) {
    const auto timing = timing_of(read_response(*each, milliseconds{5000}));
    if (timing.count("connect") == 0) continue;
    ++connected;
    CHECK(timing.at("connect") > 0);
    CHECK(timing.at("connect") + timing.at("first_byte") <= timing.at("total"));
  }
  CHECK(connected > 0);
}

TEST_CASE("server timing: upstream's own header is kept beside ours", "[service][timing]") {
  scripted_upstream up{chats([](const auto&, upstream_reply& reply) {
    reply.json(200, answer_body, {{"Server-Timing", "db;dur=5"}});
  })};
  proxy service{litellm_settings(up.url())};
  const auto values = chat(service, chat_body("m")).all("server-timing");
  REQUIRE(values.size() == 2);
  CHECK(values[0] == "db;dur=5");
  CHECK(read_timing(values[1]).count("total") == 1);
}

TEST_CASE("server timing: an error in place of upstream's answer has it, too", "[service][timing]") {
  scripted_upstream up{chats([](const auto&, upstream_reply& reply) { reply.hang(); })};
  auto values = litellm_settings(up.url());
  values.first_byte_timeout = milliseconds{80};
  proxy service{values};
  const auto late = chat(service, chat_body("m"));
  CHECK(late.status == 504);
  CHECK(timing_of(late).at("first_byte") >= 70);

  blackhole nobody;
  auto unreachable = litellm_settings(nobody.url());
  unreachable.connect_timeout = milliseconds{80};
  proxy second{unreachable};
  const auto unconnected = chat(second, chat_body("m"));
  CHECK(unconnected.status == 504);
  const auto timing = timing_of(unconnected);
  CHECK(timing.at("connect") >= 79);
  CHECK(timing.at("first_byte") < 40);
}

TEST_CASE("server timing: the wait for a slot is shown as queue", "[service][timing]") {
  gate go;
  scripted_upstream up{chats([&](const auto&, upstream_reply& reply) {
    go.wait();
    reply.json(200, answer_body);
  })};
  auto values = litellm_settings(up.url());
  values.max_concurrent_requests = 1;
  values.queue_size = 4;
  proxy service{values};
  raw_connection first{service.port()}, second{service.port()};
  REQUIRE(send_chat(first, chat_body("m")));
  REQUIRE(eventually([&] { return chats_of(up).size() == 1; }));
  REQUIRE(send_chat(second, chat_body("m")));
  REQUIRE(eventually([&] { return service.parts().gauges->waiting.load() == 1; }));
  std::this_thread::sleep_for(milliseconds{50});
  go.open();
  CHECK(timing_of(read_response(first, milliseconds{5000})).at("queue") < 40);
  CHECK(timing_of(read_response(second, milliseconds{5000})).at("queue") >= 50);
}

TEST_CASE("server timing: answers of this service itself have none", "[service][timing]") {
  scripted_upstream up{chats([](const auto&, upstream_reply& reply) { reply.json(200, answer_body); })};
  proxy service{litellm_settings(up.url())};
  CHECK_FALSE(get(service, "/v1/models").has("server-timing"));
  CHECK_FALSE(get(service, "/nowhere").has("server-timing"));
  CHECK_FALSE(request(service.port(), "GET", "/v1/models").has("server-timing"));
}

TEST_CASE("server timing: a request to a model that is refused for its key or its host has it, too",
          "[service][timing]") {
  proxy service{mock_settings()};
  const auto without_key = [&](const std::string& path) {
    return request(service.port(), "POST", path, {}, chat_body("m"));
  };
  for (const auto* path : {"/v1/chat/completions", "/v1/messages", "/v1/responses", "/v1/embeddings"}) {
    INFO(path);
    const auto refused = without_key(path);
    CHECK(refused.status == 401);
    const auto timing = timing_of(refused);
    CHECK(timing.at("auth") > 0);
    CHECK(timing.at("total") >= timing.at("auth"));
  }
  CHECK_FALSE(without_key("/nowhere").has("server-timing"));
  // The default key is accepted only for this machine.
  auto values = mock_settings();
  values.internal_api_key = settings{}.internal_api_key;
  proxy open{values};
  const auto foreign =
      request(open.port(), "POST", "/v1/chat/completions", {{"host", "evil.example"}}, chat_body("m"));
  CHECK(foreign.status == 403);
  CHECK(timing_of(foreign).count("total") == 1);
}

TEST_CASE("server timing: without STREAM_TIMING nothing is added to a stream, with it a comment",
          "[service][timing][fidelity]") {
  for (const bool wanted : {false, true}) {
    scripted_upstream up{streams(two_events + event_of("[DONE]"), 7)};
    auto values = litellm_settings(up.url());
    values.stream_timing = wanted;
    proxy service{values};
    const auto answer = chat(service, chat_body("m", true));
    CHECK(answer.status == 200);
    CHECK(timing_of(answer).count("first_byte") == 1);
    const auto all = two_events + event_of("[DONE]");
    REQUIRE(answer.body.substr(0, all.size()) == all);
    const auto rest = answer.body.substr(all.size());
    if (!wanted) {
      CHECK(rest.empty());
      continue;
    }
    REQUIRE(rest.substr(0, comment.size()) == comment);
    REQUIRE(rest.substr(rest.size() - 2) == "\n\n");
    const auto timing = read_timing(rest.substr(comment.size(), rest.size() - comment.size() - 2));
    CHECK(timing.at("total") >= timing_of(answer).at("total"));
    CHECK(rest.find('\n') == rest.size() - 2);  // there is only one line
  }
}

TEST_CASE("server timing: the comment is added neither to an unfinished event nor to broken or other answers",
          "[service][timing][fidelity]") {
  const std::string no_blank_line = two_events + "data: [DONE]";
  struct row {
    const char* what;
    upstream_script script;
    std::string body;  // the body that the client gets
  };
  const std::vector<row> rows{
      {"a last event without its blank line", streams(no_blank_line, 1000), no_blank_line},
      {"an error event", streams(event_of(delta) + event_of(R"({"error":{"message":"x"}})"), 1000), {}},
      {"a compressed stream", chats([](const auto&, upstream_reply& reply) {
         reply.sse_head({{"content-encoding", "gzip"}});
         reply.chunk("not read");
         reply.end_chunks();
       }),
       "not read"},
      {"JSON", chats([](const auto&, upstream_reply& reply) { reply.json(200, answer_body); }),
       std::string{answer_body}},
  };
  for (const auto& [what, script, body] : rows) {
    INFO(what);
    scripted_upstream up{script};
    auto values = litellm_settings(up.url());
    values.stream_timing = true;
    proxy service{values};
    const auto answer = chat(service, chat_body("m", true));
    CHECK(answer.status == 200);
    if (!body.empty()) CHECK(answer.body == body);
    CHECK_FALSE(contains(answer.body, comment));
  }
}

}  // namespace llm_proxy::test
