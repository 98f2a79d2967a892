#include "actors/session/reply.hpp"

#include "support/catch.hpp"

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace llm_proxy {

namespace {

/// A writer that records what it is given.
class recording_writer final : public reply_writer {
 public:
  void start_answer(const response_head& with, body_framing how, std::uint64_t bytes, bool) override {
    REQUIRE_FALSE(head);
    head = with;
    framing = how;
    length = bytes;
  }
  void write(std::string_view bytes) override {
    REQUIRE(head);
    body += bytes;
  }
  bool answer_started() const override { return head.has_value(); }
  std::size_t backlog() const override { return body.size(); }

  std::string header(std::string_view name) const {
    return std::string{head->headers.find(name).value_or("")};
  }

  std::optional<response_head> head;
  body_framing framing = body_framing::until_close;
  std::uint64_t length = 0;
  std::string body;
};

struct reply_stage {
  reply_stage() {
    record.id = "id-1";
    record.started_at = steady_clock::now();
    answer.begin(writer, record);
  }

  recording_writer writer;
  request_record record;
  reply answer;
};

response_head event_stream_head() {
  response_head head{200, {}};
  head.headers.add("content-type", "text/event-stream");
  return head;
}

}  // namespace

TEST_CASE("reply: a whole answer has its length, its id, and a JSON type where it needs one",
          "[unit][reply]") {
  reply_stage on;
  on.answer.send_json(201, "{}");
  CHECK(on.writer.head->status == 201);
  CHECK(on.record.status == 201);
  CHECK(on.writer.framing == body_framing::content_length);
  CHECK(on.writer.length == 2);
  CHECK(on.writer.body == "{}");
  CHECK(on.writer.header("x-request-id") == "id-1");
  CHECK(on.writer.header("content-type") == "application/json");
  CHECK(on.writer.header("server-timing").empty());

  const auto type_of = [](unsigned status, std::string_view type, std::string_view encoding) {
    reply_stage with;
    header_list headers;
    if (!type.empty()) headers.add("content-type", type);
    if (!encoding.empty()) headers.add("content-encoding", encoding);
    with.answer.send_json(status, "{}", std::move(headers));
    return with.writer.header("content-type");
  };
  CHECK(type_of(200, "text/html", "") == "application/json");
  CHECK(type_of(200, "application/problem+json", "") == "application/problem+json");
  CHECK(type_of(200, "text/html", "gzip") == "text/html");
  CHECK(type_of(204, "", "").empty());
}

TEST_CASE("reply: server-timing is sent if the request goes upstream", "[unit][reply]") {
  reply_stage on;
  on.record.has_timing = true;
  on.answer.send_json(200, "{}");
  CHECK(on.writer.header("server-timing").find("total;dur=") != std::string::npos);
}

TEST_CASE("reply: a refusal is worded in the client's dialect and says whose fault it is", "[unit][reply]") {
  reply_stage openai;
  openai.answer.refuse({.code = errc::unauthorized}, dialect::chat, {}, {});
  CHECK(openai.writer.head->status == 401);
  CHECK(openai.writer.header("www-authenticate") == "Bearer");
  CHECK(openai.writer.header("x-llm-proxy-error-source") == "client");
  CHECK(openai.writer.body.find(R"("code":"unauthorized")") != std::string::npos);
  reply_stage anthropic;
  anthropic.answer.refuse({.code = errc::overloaded, .message = "Full."}, dialect::anthropic, {}, {});
  CHECK(anthropic.writer.head->status == 503);
  CHECK(anthropic.writer.header("x-should-retry") == "true");
  CHECK(anthropic.writer.body.starts_with(R"({"type":"error","error":{)"));
  CHECK(anthropic.writer.body.find("Full.") != std::string::npos);
}

TEST_CASE("reply: comments before the first event wait with the status line", "[unit][reply]") {
  reply_stage on;
  CHECK(on.answer.hold_back(": one\n\n", false));
  CHECK(on.answer.hold_back(": two\n\n", false));
  CHECK_FALSE(on.answer.started());
  CHECK_FALSE(on.answer.hold_back("data: x\n\n", true));
  on.answer.open(event_stream_head(), true, std::nullopt);
  on.answer.write("data: x\n\n");
  CHECK(on.writer.body == ": one\n\n: two\n\ndata: x\n\n");
  CHECK(on.writer.framing == body_framing::chunked);
  CHECK(on.writer.header("cache-control") == "no-cache");
  CHECK(on.writer.header("x-accel-buffering") == "no");
  CHECK(on.record.status == 200);
}

TEST_CASE("reply: no more than 16 KiB of comments wait", "[unit][reply]") {
  reply_stage on;
  CHECK(on.answer.hold_back(std::string(16 * 1024, ':'), false));
  CHECK_FALSE(on.answer.hold_back(":", false));
}

TEST_CASE("reply: another try begins without the comments of the one before", "[unit][reply]") {
  reply_stage on;
  CHECK(on.answer.hold_back(": of the first try\n\n", false));
  on.answer.start_over();
  on.answer.open(event_stream_head(), true, std::nullopt);
  CHECK(on.writer.body.empty());
}

TEST_CASE("reply: a body of another kind has the length that upstream gave, or comes in chunks",
          "[unit][reply]") {
  reply_stage known;
  known.answer.open({200, {}}, false, 12);
  CHECK(known.writer.framing == body_framing::content_length);
  CHECK(known.writer.length == 12);
  CHECK(known.writer.header("cache-control").empty());
  reply_stage unknown;
  unknown.answer.open({200, {}}, false, std::nullopt);
  CHECK(unknown.writer.framing == body_framing::chunked);
}

TEST_CASE("reply: a stream can be kept alive, and say where its time went", "[unit][reply]") {
  reply_stage on;
  on.answer.note_early();
  CHECK(on.answer.is_early());
  on.answer.open(event_stream_head(), true, std::nullopt);
  on.answer.write_keep_alive();
  CHECK(on.writer.body == ": keep-alive\n\n");
  on.answer.write_timing();
  CHECK(on.writer.body.find(": server-timing queue;dur=") != std::string::npos);
  CHECK(on.writer.body.ends_with("\n\n"));
}

}  // namespace llm_proxy
