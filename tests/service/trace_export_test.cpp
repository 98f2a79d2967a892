// The export of spans: what reaches the collector, and what happens if the collector is down, slow or refuses
// them.
#include "support/catch.hpp"
#include "support/certificate.hpp"
#include "support/traced_service.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <string>
#include <thread>
#include <vector>

namespace llm_proxy::test {

namespace {

constexpr std::string_view canary = "canary-5f2c";

double value_of(const std::string& text, const std::string& sample) {
  const auto at = ("\n" + text).find("\n" + sample + " ");
  return at == std::string::npos ? -1 : std::stod(text.substr(at + sample.size() + 1));
}

double metric(const proxy& service, const std::string& sample) {
  return value_of(get(service, "/metrics").body, sample);
}

}  // namespace

TEST_CASE("traces: the export is a request as OTLP defines it, with the configured headers",
          "[service][traces]") {
  scripted_upstream up{answers()};
  scripted_upstream collector{accepts_spans()};
  auto values = traced_settings(up, collector.url("/otlp/"));
  values.otel_exporter_otlp_headers = "authorization=Basic%20abc,x-tenant=blue";
  values.otel_service_name = "gateway";
  values.otel_resource_attributes = "deployment.environment.name=test,service.name=lost";
  {
    proxy service{values};
    chat(service, chat_body("m"));
    const auto got = collector.request_at(0);
    CHECK(got.method == "POST");
    CHECK(got.target == "/otlp/v1/traces");
    CHECK(got.header("content-type") == "application/json");
    CHECK(got.header("authorization") == "Basic abc");
    CHECK(got.header("x-tenant") == "blue");
    for (const auto* part :
         {R"({"key":"service.name","value":{"stringValue":"gateway"}})",
          R"({"key":"deployment.environment.name","value":{"stringValue":"test"}})", "service.instance.id"}) {
      INFO(part);
      CHECK(contains(got.body, part));
    }
    CHECK_FALSE(contains(got.body, "lost"));
  }
  // An address that is only for traces is used unchanged.
  values.otel_exporter_otlp_traces_endpoint = collector.url("/api/spans");
  collector.clear_requests();
  proxy service{values};
  chat(service, chat_body("m"));
  CHECK(collector.request_at(0).target == "/api/spans");
}

TEST_CASE("traces: many spans are sent in one export, and all of them before the service ends",
          "[service][traces]") {
  scripted_upstream up{answers()};
  scripted_upstream collector{accepts_spans()};
  auto values = traced_settings(up, collector.url());
  values.otel_bsp_schedule_delay = std::chrono::hours{1};
  values.otel_bsp_max_export_batch_size = 10;
  proxy service{values};
  raw_connection client{service.port()};
  for (int i = 0; i < 10; ++i) {
    REQUIRE(send_chat(client, chat_body("m")));
    REQUIRE(read_response(client, milliseconds{5000}).status == 200);
  }
  // A full batch is sent without waiting for the schedule.
  REQUIRE(spans_of(collector, 10).size() == 10);
  CHECK(collector.request_count() == 1);
  for (int i = 0; i < 3; ++i) CHECK(chat(service, chat_body("m")).status == 200);
  std::this_thread::sleep_for(milliseconds{50});
  CHECK(collector.request_count() == 1);
  service.drain_connections(milliseconds{1000});
  CHECK(spans_of(collector, 13).size() == 13);
  CHECK(collector.request_count() == 2);
}

TEST_CASE("traces: a collector that is down does not delay requests, and costs little memory",
          "[service][traces]") {
  scripted_upstream up{answers()};
  refused_port nobody;
  auto values = traced_settings(up, nobody.url());
  values.otel_bsp_max_queue_size = 8;
  values.otel_bsp_max_export_batch_size = 4;
  proxy service{values};
  raw_connection client{service.port()};
  for (int i = 0; i < 50; ++i) {
    REQUIRE(send_chat(client, chat_body("m")));
    REQUIRE(read_response(client, milliseconds{5000}).status == 200);
  }
  CHECK(metric(service, "llm_proxy_spans_queued") == 8);
  // At most eight spans wait in the queue, and at most four more are in the batch that is being sent.
  CHECK(metric(service, "llm_proxy_spans_dropped_total") >= 50 - 8 - 4);
  CHECK(metric(service, "llm_proxy_spans_exported_total") == 0);
  const auto began = test_clock::now();
  CHECK(service.drain_connections(milliseconds{1000}));
  CHECK(test_clock::now() - began < std::chrono::seconds{2});
}

TEST_CASE("traces: a collector that hangs does not delay requests, and delays the end only briefly",
          "[service][traces]") {
  scripted_upstream up{answers()};
  scripted_upstream collector{[](const auto&, upstream_reply& reply) { reply.hang(); }};
  auto values = traced_settings(up, collector.url());
  values.threads = 1;  // so that the exporter and the requests share a thread
  proxy service{values};
  CHECK(chat(service, chat_body("m")).status == 200);
  REQUIRE(collector.wait_for_requests(1));
  const auto began = test_clock::now();
  for (int i = 0; i < 20; ++i) CHECK(chat(service, chat_body("m")).status == 200);
  CHECK(test_clock::now() - began < std::chrono::seconds{1});
  const auto drained = test_clock::now();
  CHECK(service.drain_connections(milliseconds{1000}));
  CHECK(test_clock::now() - drained < std::chrono::seconds{4});
}

TEST_CASE("traces: a batch that the collector could not take is sent again, one that it refuses is not",
          "[service][traces]") {
  scripted_upstream up{answers()};
  std::atomic<int> status{503};
  scripted_upstream collector{[&](const auto&, upstream_reply& reply) {
    const int now = status.load();
    reply.json(now, now == 200 ? R"({"partialSuccess":{"rejectedSpans":"1"}})" : "{}",
               {{"retry-after", "0"}});
  }};
  proxy service{traced_settings(up, collector.url())};
  CHECK(chat(service, chat_body("m"), {{"traceparent", caller}}).status == 200);
  REQUIRE(collector.wait_for_requests(2));
  CHECK(collector.request_at(0).body == collector.request_at(1).body);
  status = 400;
  REQUIRE(eventually([&] { return metric(service, "llm_proxy_spans_dropped_total") == 1; }));
  const auto asked = collector.request_count();
  std::this_thread::sleep_for(milliseconds{250});
  CHECK(collector.request_count() == asked);
  // If the collector accepts only a part of a batch, the rest counts as dropped.
  status = 200;
  CHECK(chat(service, chat_body("m")).status == 200);
  REQUIRE(eventually([&] { return metric(service, "llm_proxy_spans_dropped_total") == 2; }));
  CHECK(metric(service, "llm_proxy_spans_exported_total") == 0);
}

TEST_CASE("traces: an export holds no key, no prompt and no part of an answer", "[service][traces]") {
  scripted_upstream up{answers()};
  scripted_upstream collector{accepts_spans()};
  auto values = traced_settings(up, collector.url());
  values.internal_api_key = std::string{canary} + "-key";
  values.litellm_api_key = std::string{canary} + "-upstream";
  {
    proxy service{values};
    const auto ask = [&](const std::string& model, bool stream) {
      return request(service.port(), "POST", "/v1/chat/completions?secret=canary-5f2c",
                     {{"x-internal-auth", values.internal_api_key}, {"user-agent", std::string{canary}}},
                     chat_body(model, stream, canary))
          .status;
    };
    CHECK(ask("m", false) == 200);
    CHECK(ask("m", true) == 200);
    CHECK(ask("fails", false) == 502);
    service.drain_connections(milliseconds{1000});
  }
  REQUIRE(spans_of(collector, 3).size() == 3);
  for (const auto& each : collector.requests()) {
    CHECK_FALSE(contains(each.head, canary));
    CHECK_FALSE(contains(each.body, canary));
  }
}

TEST_CASE("traces: only OTEL_EXPORTER_OTLP_CERTIFICATE decides which https collector is trusted",
          "[service][traces]") {
  certificate cert;
  scripted_upstream up{answers()};
  scripted_upstream collector{accepts_spans()};
  // A second llm-proxy provides TLS in front of the collector.
  auto front_values = litellm_settings(collector.url());
  front_values.tls_cert_file = cert.file();
  front_values.tls_key_file = cert.key();
  front_values.passthrough_paths = {"/v1/traces"};
  proxy front{front_values};
  collector.wait_for_requests(1);
  const auto exported = [&] {
    const auto all = collector.requests();
    return std::count_if(all.begin(), all.end(), [](const auto& req) { return req.method == "POST"; });
  };
  auto values = traced_settings(up, "https://localhost:" + std::to_string(front.port()));
  values.otel_exporter_otlp_headers = "x-internal-auth=" + std::string{test_key};
  {
    proxy service{values};
    CHECK(chat(service, chat_body("m")).status == 200);
    service.drain_connections(milliseconds{1000});
    CHECK(exported() == 0);
  }
  values.otel_exporter_otlp_certificate = cert.file();
  proxy service{values};
  CHECK(chat(service, chat_body("m")).status == 200);
  CHECK(eventually([&] { return exported() == 1; }));
}

}  // namespace llm_proxy::test
