#include "actors/service/service_parts.hpp"
#include "support/catch.hpp"
#include "support/keys_file.hpp"
#include "support/running_proxy.hpp"
#include "support/upstream_chat.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <regex>
#include <set>
#include <sstream>
#include <unistd.h>

namespace llm_proxy::test {

namespace {

constexpr std::string_view canary = "canary-5f2c";

std::uint16_t free_port() {
  boost::asio::io_context io;
  boost::asio::ip::tcp::acceptor probe{io, {boost::asio::ip::address_v4::loopback(), 0}};
  return probe.local_endpoint().port();
}

std::string scrape(const proxy& service) {
  const auto answer = get(service, "/metrics");
  REQUIRE(answer.status == 200);
  CHECK(answer.header("content-type") == "text/plain; version=0.0.4; charset=utf-8");
  return answer.body;
}

/// Returns the value of the sample with this name and labels, or -1 if there is none.
double value_of(const std::string& text, const std::string& sample) {
  const auto at = ("\n" + text).find("\n" + sample + " ");
  return at == std::string::npos ? -1 : std::stod(text.substr(at + sample.size() + 1));
}

std::string requests(std::string_view status, std::string_view verdict) {
  return "llm_proxy_requests_total{route=\"/v1/chat/completions\",status=\"" + std::string{status} +
         "\",verdict=\"" + std::string{verdict} + "\"}";
}

std::string read_text(const std::filesystem::path& file) {
  std::ifstream in{file};
  std::stringstream all;
  all << in.rdbuf();
  return all.str();
}

const std::string usage_event =
    R"({"choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"usage":{"prompt_tokens":5,"completion_tokens":9}})";

/// Returns a script that answers as the model's name asks: with an error, a broken stream, or a whole answer.
upstream_script by_model() {
  return chats([](const upstream_request& req, upstream_reply& reply) {
    if (contains(req.body, "\"fails\"")) {
      reply.json(500, R"({"error":{"message":"canary-5f2c","type":"None","code":"500"}})");
    } else if (contains(req.body, "\"breaks\"")) {
      reply.sse_head();
      reply.chunk(event_of(delta));
      reply.close();
    } else if (contains(req.body, "stream")) {
      reply.sse_head();
      reply.chunk(event_of(delta) + event_of(usage_event) + event_of("[DONE]"));
      reply.end_chunks();
    } else {
      reply.json(
          200,
          R"({"object":"chat.completion","choices":[],"usage":{"prompt_tokens":5,"completion_tokens":9}})");
    }
  });
}

}  // namespace

TEST_CASE("metrics: every request is counted once under its verdict, with its times and tokens",
          "[service][metrics]") {
  scripted_upstream up{by_model()};
  proxy service{litellm_settings(up.url())};
  for (int i = 0; i < 3; ++i) CHECK(chat(service, chat_body("good")).status == 200);
  for (int i = 0; i < 2; ++i) CHECK(chat(service, chat_body("good", true)).status == 200);
  CHECK(chat(service, chat_body("fails")).status == 502);
  chat(service, chat_body("breaks", true));
  CHECK(chat(service, "{").status == 400);
  CHECK(request(service.port(), "POST", "/v1/chat/completions", {}, chat_body("good")).status == 401);
  const auto text = scrape(service);
  INFO(text.substr(text.find("llm_proxy_requests_total{"), 900));
  CHECK(value_of(text, requests("200", "complete")) == 5);
  CHECK(value_of(text, requests("502", "upstream_error")) == 1);
  CHECK(value_of(text, requests("200", "truncated")) == 1);
  CHECK(value_of(text, requests("400", "rejected_invalid")) == 1);
  CHECK(value_of(text,
                 "llm_proxy_requests_total{route=\"unmatched\",status=\"401\",verdict=\"rejected_auth\"}") ==
        1);
  const std::string good = "{gen_ai_operation_name=\"chat\",gen_ai_request_model=\"good\",";
  CHECK(value_of(text, "gen_ai_server_request_duration_seconds_count" + good + "key=\"default\"}") == 5);
  CHECK(value_of(text, "gen_ai_server_time_to_first_token_seconds_count" + good + "key=\"default\"}") == 2);
  CHECK(value_of(text, "gen_ai_client_token_usage_sum" + good +
                           "gen_ai_token_type=\"output\",key=\"default\"}") == 45);
  CHECK(value_of(text, "llm_proxy_streams_open") == 0);
  CHECK(value_of(text, "llm_proxy_requests_in_flight") == 0);
  CHECK(value_of(text, "llm_proxy_sessions") == 1);  // the scrape's own session
  CHECK(value_of(text, "llm_proxy_connections_accepted_total") == 10);
  CHECK(value_of(text, "llm_proxy_key_last_use_seconds{key=\"default\"}") > 1.7e9);
  CHECK(value_of(text, "process_resident_memory_bytes") > 1e6);
}

TEST_CASE("metrics: open streams and requests in flight are shown while they last", "[service][metrics]") {
  gate go;
  scripted_upstream up{chats([&](const auto&, upstream_reply& reply) {
    reply.sse_head();
    reply.chunk(event_of(delta));
    go.wait();
    reply.chunk(event_of(stop) + event_of("[DONE]"));
    reply.end_chunks();
  })};
  proxy service{litellm_settings(up.url())};
  raw_connection client{service.port()};
  REQUIRE(send_chat(client, chat_body("m", true)));
  event_stream events{client};
  REQUIRE(events.open(milliseconds{5000}));
  REQUIRE(events.next(milliseconds{5000}));
  const auto text = scrape(service);
  CHECK(value_of(text, "llm_proxy_streams_open") == 1);
  CHECK(value_of(text, "llm_proxy_requests_in_flight") == 1);
  const auto host = "{upstream=\"0\",host=\"127.0.0.1:" + up.url().substr(up.url().rfind(':') + 1) + "\"}";
  CHECK(value_of(text, "llm_proxy_upstream_usable" + host) == 1);
  go.open();
  events.rest(milliseconds{5000});
  CHECK(eventually([&] { return value_of(scrape(service), "llm_proxy_streams_open") == 0; }));
}

TEST_CASE("metrics: they name the model that answered beside the one that was requested",
          "[service][metrics]") {
  scripted_upstream up{chats([](const upstream_request& req, upstream_reply& reply) {
    if (req.is_true("stream")) {
      reply.sse({R"({"model":"m-2026","choices":[{"index":0,"delta":{"content":"x"},"finish_reason":null}]})",
                 stop, "[DONE]"});
    } else {
      reply.json(200, R"({"object":"chat.completion","model":"m-2026","choices":[]})");
    }
  })};
  proxy service{litellm_settings(up.url())};
  CHECK(chat(service, chat_body("m")).status == 200);
  CHECK(chat(service, chat_body("m", true)).status == 200);
  CHECK(
      value_of(
          scrape(service),
          "gen_ai_server_request_duration_seconds_count{gen_ai_operation_name=\"chat\",gen_ai_request_model="
          "\"m\",gen_ai_response_model=\"m-2026\",key=\"default\"}") == 2);
}

TEST_CASE("metrics: they show how soon an upstream request is closed after its client left",
          "[service][metrics]") {
  scripted_upstream up{chats([](const auto&, upstream_reply& reply) { reply.hang(); })};
  proxy service{litellm_settings(up.url())};
  {
    raw_connection client{service.port()};
    REQUIRE(send_chat(client, chat_body("m")));
    REQUIRE(eventually([&] { return chats_of(up).size() == 1; }));
  }
  CHECK(eventually([&] { return value_of(scrape(service), "llm_proxy_client_cancel_seconds_count") == 1; }));
  CHECK(value_of(scrape(service), "llm_proxy_client_cancel_seconds_sum") < 1);
}

TEST_CASE("metrics: pools, adapters and actors are counted, and version and commit are named",
          "[service][metrics]") {
  auto values = mock_settings();
  values.adapter_pool_size = 6;
  values.metrics_public = true;  // so that a scrape works while the actor that checks keys is dead
  proxy service{values, {}, {}, {}, {}, "abc1234"};
  const auto text = scrape(service);
  CHECK(value_of(text, "llm_proxy_pools") == 2);
  CHECK(value_of(text, "llm_proxy_adapters") == 6);
  // There are more: the scrape's session, and the other actors of every thread.
  CHECK(value_of(text, "llm_proxy_actors") > 2 + 6);
  CHECK(value_of(text, "llm_proxy_actors_replaced_total") == 0);
  CHECK(value_of(text, "llm_proxy_build_info{version=\"" + values.version + "\",commit=\"abc1234\"}") == 1);
  caf::anon_send_exit(service.shared().front().auth, caf::exit_reason::kill);
  CHECK(eventually([&] { return value_of(scrape(service), "llm_proxy_actors_replaced_total") == 1; }));
}

TEST_CASE("metrics: they need the key, unless METRICS_PUBLIC is set", "[service][metrics]") {
  auto values = mock_settings();
  {
    proxy service{values};
    CHECK(request(service.port(), "GET", "/metrics").status == 401);
    CHECK(get(service, "/metrics").status == 200);
  }
  values.metrics_public = true;
  proxy service{values};
  CHECK(request(service.port(), "GET", "/metrics").status == 200);
  CHECK(request(service.port(), "GET", "/v1/models").status == 401);
}

TEST_CASE("metrics: a key of the file may not read them, because they name all keys", "[service][metrics]") {
  auto values = mock_settings();
  // The same holds for a key that has the name of INTERNAL_API_KEY in order to share its limits.
  const keys_file file{{{"team-a", "key-of-a"}, {"default", "key-of-default"}}};
  values.internal_api_keys_file = file.path();
  proxy service{values};
  for (const char* key : {"key-of-a", "key-of-default"}) {
    INFO(key);
    const header_list of_the_file{{"x-internal-auth", key}};
    CHECK(request(service.port(), "GET", "/v1/models", of_the_file).status == 200);
    const auto refused = request(service.port(), "GET", "/metrics", of_the_file);
    CHECK(refused.status == 403);
    CHECK(contains(refused.body, R"("code":"internal_key_required")"));
    CHECK_FALSE(contains(refused.body, "llm_proxy_requests_total"));
  }
  CHECK(get(service, "/metrics").status == 200);
}

TEST_CASE("metrics: ADMIN_PORT answers metrics and health without a key, and nothing else",
          "[service][metrics]") {
  auto values = mock_settings();
  values.admin_port = free_port();
  proxy service{values};
  CHECK(request(values.admin_port, "GET", "/metrics").status == 200);
  CHECK(request(values.admin_port, "GET", "/health/ready").status == 200);
  CHECK(request(values.admin_port, "GET", "/v1/models", {key_field}).status == 404);
  CHECK(request(values.admin_port, "POST", "/v1/chat/completions", {key_field}, chat_body("m")).status ==
        404);
  CHECK(request(service.port(), "GET", "/metrics").status == 401);
  // The metrics on the admin port also count the requests that came to the main port.
  chat(service, chat_body("mock-llm"));
  CHECK(value_of(request(values.admin_port, "GET", "/metrics").body, requests("200", "complete")) == 1);
  service.drain_connections(milliseconds{1000});
  CHECK(request(values.admin_port, "GET", "/health/ready").status == 503);
}

TEST_CASE("metrics: requests and connections of ADMIN_PORT are not counted", "[service][metrics]") {
  auto values = mock_settings();
  values.admin_port = free_port();
  proxy service{values};
  std::vector<raw_connection> probes;
  for (int i = 0; i < 3; ++i) {
    CHECK(request(values.admin_port, "GET", "/health").status == 200);
    probes.emplace_back(values.admin_port);  // a connection that stays
  }
  CHECK(chat(service, chat_body("m")).status == 200);
  for (int i = 0; i < 2; ++i) {
    const auto text = request(values.admin_port, "GET", "/metrics").body;
    CHECK(value_of(text, "llm_proxy_sessions") == 0);
    CHECK(value_of(text, "llm_proxy_connections_accepted_total") == 1);
    CHECK(value_of(text, requests("200", "complete")) == 1);
    CHECK_FALSE(contains(text, "route=\"/metrics\""));
    CHECK_FALSE(contains(text, "route=\"/health\""));
  }
  // Those of the main port are counted.
  const auto text = scrape(service);
  CHECK(value_of(text, "llm_proxy_sessions") == 1);
  CHECK(value_of(text, "llm_proxy_connections_accepted_total") == 2);
}

TEST_CASE("metrics: they hold no key, no prompt and no text from upstream", "[service][metrics]") {
  scripted_upstream up{by_model()};
  auto values = litellm_settings(up.url());
  values.internal_api_key = std::string{canary} + "-key";
  values.litellm_api_key = std::string{canary} + "-upstream";
  proxy service{values};
  const header_list key{{"x-internal-auth", values.internal_api_key}};
  const auto ask = [&](const std::string& model, std::string_view path = "/v1/chat/completions") {
    return request(service.port(), "POST", path, key, chat_body(model, false, canary)).status;
  };
  CHECK(ask("good") == 200);
  CHECK(ask("fails") == 502);
  CHECK(ask("good", "/v1/" + std::string{canary}) == 404);
  request(service.port(), "GET", "/v1/models", {{"x-internal-auth", std::string{canary} + "-wrong"}});
  const auto answer = request(service.port(), "GET", "/metrics", key);
  REQUIRE(answer.status == 200);
  CHECK_FALSE(contains(answer.body, canary));
}

TEST_CASE(
    "metrics: promtool accepts a scrape and the alert rules, which with the dashboard name real metrics",
    "[service][metrics]") {
  scripted_upstream up{by_model()};
  proxy service{litellm_settings(up.url())};
  chat(service, chat_body("good", true));
  chat(service, chat_body("fails"));
  const auto text = scrape(service);
  const std::filesystem::path source{LLM_PROXY_SOURCE_DIR};
  const auto alerts = source / "config/prometheus/alerts.yaml";
  std::set<std::string> known;
  const std::regex family{"# TYPE (\\S+) (\\S+)"};
  for (std::sregex_iterator at{text.begin(), text.end(), family}, end; at != end; ++at) {
    known.insert((*at)[1]);
    if ((*at)[2] != "histogram") continue;
    for (const auto* part : {"_bucket", "_sum", "_count"}) known.insert((*at)[1].str() + part);
  }
  const std::regex used{"\\b(?:gen_ai_(?:server|client)|llm_proxy|process)_[a-z_]+"};
  std::size_t found = 0;
  for (const auto& file : {alerts, source / "config/grafana/llm-proxy.json"}) {
    const auto words = read_text(file);
    for (std::sregex_iterator at{words.begin(), words.end(), used}, end; at != end; ++at, ++found) {
      INFO(file << " names " << at->str());
      CHECK(known.count(at->str()) == 1);
    }
  }
  CHECK(found > 20);
  if (std::system("promtool --version >/dev/null 2>&1") != 0) {
    std::cerr << "SKIPPED: promtool (Debian package prometheus) is not here: nothing checks the scrape\n";
    return;
  }
  const auto file = std::filesystem::temp_directory_path() / ("llm-proxy-scrape-" + std::to_string(getpid()));
  std::ofstream{file} << text;
  CHECK(std::system(("promtool check metrics <" + file.string()).c_str()) == 0);
  CHECK(std::system(("promtool check rules " + alerts.string() + " >/dev/null").c_str()) == 0);
  std::filesystem::remove(file);
}

}  // namespace llm_proxy::test
