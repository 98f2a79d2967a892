// Tests of the span exporter by itself. The test plays the collector and moves the time by hand.
#include "actors/telemetry/span_exporter.hpp"

#include "support/actor_stage.hpp"

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/write.hpp>

#include <array>
#include <optional>
#include <string>

namespace llm_proxy::test {

namespace {

using boost::asio::ip::tcp;
using namespace std::chrono_literals;

class exporter_stage {
 public:
  exporter_stage() {
    span_exporter_options options;
    options.address = *parse_upstream_address(
        "http://127.0.0.1:" + std::to_string(listener_.local_endpoint().port()) + "/otel");
    options.path = "/v1/traces";
    options.timeout = 10s;
    options.schedule_delay = 5s;
    subject =
        stage.cast(spawn_on(stage.system(), stage.home(), span_exporter, &stage.home(), options, queue));
    listener_.non_blocking(true);
  }

  void finish_spans(int count) {
    for (int i = 0; i < count; ++i) {
      if (queue->push({})) stage.tell(subject, export_due{});
    }
  }
  /// Returns the next request that the collector gets, without its body; nullopt if none comes.
  std::optional<std::string> request() {
    settle();
    if (!peer_) {
      tcp::socket accepted{stage.io()};
      boost::system::error_code ec;
      listener_.accept(accepted, ec);
      if (ec) return std::nullopt;
      peer_.emplace(std::move(accepted));
      peer_->non_blocking(true);
      settle();
    }
    std::array<char, 65536> bytes{};
    boost::system::error_code ec;
    const auto got = peer_->read_some(boost::asio::buffer(bytes), ec);
    if (ec || got == 0) return std::nullopt;
    const std::string text{bytes.data(), got};
    return text.substr(0, text.find("\r\n\r\n"));
  }
  void respond(unsigned status, const std::string& headers = {}) {
    const auto text =
        "HTTP/1.1 " + std::to_string(status) + " x\r\n" + headers + "content-length: 2\r\n\r\n{}";
    boost::asio::write(*peer_, boost::asio::buffer(text));
    settle();
  }
  void settle() {
    for (int i = 0; i < 5; ++i) stage.poll();
  }
  void advance(std::chrono::milliseconds time) {
    stage.advance(time);
    settle();
  }

  actor_stage stage;
  std::shared_ptr<span_queue> queue = std::make_shared<span_queue>(100, 10);
  exporter_actor subject;

 private:
  tcp::acceptor listener_{stage.io(), tcp::endpoint{boost::asio::ip::address_v4::loopback(), 0}};
  std::optional<tcp::socket> peer_;
};

}  // namespace

TEST_CASE("span exporter: spans leave when a batch is full, or when the schedule says so",
          "[actor][span_exporter]") {
  exporter_stage on;
  on.finish_spans(9);
  CHECK_FALSE(on.request());
  on.finish_spans(1);
  const auto first = on.request();
  REQUIRE(first);
  CHECK(first->starts_with("POST /otel/v1/traces HTTP/1.1\r\n"));
  on.respond(200);
  CHECK(on.queue->exported() == 10);
  on.finish_spans(3);
  CHECK_FALSE(on.request());
  on.advance(5s);
  REQUIRE(on.request());
  on.respond(200);
  CHECK(on.queue->exported() == 13);
  on.advance(5s);
  CHECK_FALSE(on.request());
}

TEST_CASE("span exporter: a batch that fills up during an export is sent next, without waiting",
          "[actor][span_exporter]") {
  exporter_stage on;
  on.finish_spans(10);
  REQUIRE(on.request());
  on.finish_spans(10);
  CHECK_FALSE(on.request());
  on.respond(200);
  REQUIRE(on.request());
  on.respond(200);
  CHECK(on.queue->exported() == 20);
}

TEST_CASE(
    "span exporter: a batch that the collector cannot take is sent up to five times, with growing pauses",
    "[actor][span_exporter]") {
  exporter_stage on;
  on.finish_spans(10);
  for (const auto pause : {1s, 2s, 4s, 8s}) {
    INFO(pause.count());
    REQUIRE(on.request());
    on.respond(503);
    on.advance(pause - 200ms);
    CHECK_FALSE(on.request());
    on.advance(200ms);
  }
  REQUIRE(on.request());
  CHECK(on.queue->dropped() == 0);
  on.respond(503);
  CHECK(on.queue->dropped() == 10);
  CHECK(on.queue->exported() == 0);
  on.advance(30s);
  CHECK_FALSE(on.request());
}

TEST_CASE("span exporter: the next try comes when the collector's retry-after says",
          "[actor][span_exporter]") {
  exporter_stage on;
  on.finish_spans(10);
  REQUIRE(on.request());
  on.respond(429, "retry-after: 7\r\n");
  on.advance(6800ms);
  CHECK_FALSE(on.request());
  on.advance(200ms);
  REQUIRE(on.request());
  on.respond(200);
  CHECK(on.queue->exported() == 10);
}

TEST_CASE("span exporter: spans that are refused are not sent again, and the next ones are sent",
          "[actor][span_exporter]") {
  exporter_stage on;
  on.finish_spans(10);
  REQUIRE(on.request());
  on.respond(400);
  CHECK(on.queue->dropped() == 10);
  on.finish_spans(10);
  REQUIRE(on.request());
  on.respond(200);
  CHECK(on.queue->exported() == 10);
}

TEST_CASE("span exporter: a flush sends all spans at once, and is answered when the collector has taken them",
          "[actor][span_exporter]") {
  exporter_stage on;
  on.finish_spans(2);
  const auto flushed = on.stage.ask<spans_flushed>(on.subject, flush_spans{});
  CHECK(flushed->open());
  REQUIRE(on.request());
  on.respond(200);
  CHECK(flushed->value);
  CHECK(on.queue->exported() == 2);
}

TEST_CASE("span exporter: a flush does not wait for further tries", "[actor][span_exporter]") {
  exporter_stage on;
  on.finish_spans(10);
  REQUIRE(on.request());
  on.respond(503);
  on.finish_spans(3);
  // The flush cuts the pause before the second try short.
  const auto flushed = on.stage.ask<spans_flushed>(on.subject, flush_spans{});
  REQUIRE(on.request());
  on.respond(503);
  CHECK(flushed->value);
  CHECK(on.queue->dropped() == 10);
}

TEST_CASE("span exporter: a try fails when the collector is silent for too long", "[actor][span_exporter]") {
  exporter_stage on;
  on.finish_spans(10);
  REQUIRE(on.request());
  const auto flushed = on.stage.ask<spans_flushed>(on.subject, flush_spans{});
  on.advance(9800ms);
  CHECK(flushed->open());
  on.advance(200ms);
  CHECK(flushed->value);
  CHECK(on.queue->dropped() == 10);
}

}  // namespace llm_proxy::test
