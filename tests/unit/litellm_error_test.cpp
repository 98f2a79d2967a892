#include "http/answer/litellm_error.hpp"

#include "http/answer/error_shape.hpp"
#include "http/answer/error_text.hpp"
#include "support/catch.hpp"

#include <string>
#include <utility>
#include <vector>

namespace llm_proxy {

namespace {

response_head head(unsigned status, std::vector<std::pair<std::string, std::string>> headers = {}) {
  response_head answer;
  answer.status = status;
  for (const auto& [name, value] : headers) answer.headers.add(name, value);
  return answer;
}

decoded_error decoded(unsigned status, std::string_view body, dialect speaks = dialect::chat) {
  return decode_error(head(status), body, true, error_wording::normalized, speaks);
}

std::string litellm(std::string_view message, std::string_view code) {
  return R"({"error":{"message":")" + std::string{message} + R"(","type":"None","param":"None","code":")" +
         std::string{code} + R"("}})";
}

}  // namespace

TEST_CASE("litellm error: a clean OpenAI error passes byte for byte", "[unit][litellm_error]") {
  for (
      const std::string body :
      {R"({"error":{"message":"m","type":"t","param":null,"code":null}})",
       R"( {"error" : {"code":"c","message":"see https://platform.openai.com/docs","type":"t","param":"p","x":1.0}} )",
       R"({"error":{"message":"m","type":"t","param":null,"code":"429"}})"}) {
    CHECK(decoded(400, body).body.empty());
    CHECK(decode_error(head(400), body, true, error_wording::raw, dialect::chat).body.empty());
  }
}

TEST_CASE("litellm error: None becomes null and internals are cut, everything else stays",
          "[unit][litellm_error]") {
  const std::string body =
      R"({"error":{"message":"litellm.RateLimitError: OpenAIException - slow. Received Model Group=g\nAvailable Model Group Fallbacks=None","type":"None","param":"None","code":"429","provider_specific_fields":{"a":1.0}}})";
  const auto error = decoded(429, body);
  CHECK(
      error.body ==
      R"({"error":{"message":"litellm.RateLimitError: OpenAIException - slow.","type":null,"param":null,"code":"429","provider_specific_fields":{"a":1.0}}})");
  CHECK(error.detail.find("Received Model Group=g") != std::string::npos);
  CHECK(decode_error(head(429), body, true, error_wording::raw, dialect::chat).body.empty());
}

TEST_CASE("litellm error: whose fault it is, and whether to try again", "[unit][litellm_error]") {
  struct row {
    unsigned status;
    std::string message;
    blame source;
    bool retryable;
    unsigned wanted;
  };
  for (const auto& each : std::vector<row>{
           {400, "litellm.BadRequestError: OpenAIException - bad", blame::client, false, 400},
           {400, "litellm.ContextWindowExceededError: too long", blame::client, false, 400},
           {404, "litellm.NotFoundError: NotFoundError: OpenAIException - no", blame::client, false, 404},
           {401, "litellm.AuthenticationError: AuthenticationError: OpenAIException - no", blame::provider,
            false, 502},
           {401, "Authentication Error, Invalid proxy server token", blame::litellm, false, 502},
           {403, "litellm.APIError: APIError: OpenAIException - no", blame::provider, false, 403},
           {408, "litellm.Timeout: Timeout Error: OpenAIException - slow", blame::provider, true, 504},
           {429, "litellm.RateLimitError: RateLimitError: OpenAIException - slow", blame::provider, true,
            429},
           {429, "max_parallel_requests reached", blame::litellm, true, 429},
           {500, "litellm.InternalServerError: InternalServerError: OpenAIException - oh", blame::provider,
            true, 502},
           {500, "litellm.APIConnectionError: no route", blame::litellm, true, 502},
           {503, "litellm.ServiceUnavailableError: VertexAIException - full", blame::provider, true, 503},
           {418, "I'm a teapot", blame::client, false, 418},
           {599, "who knows", blame::litellm, true, 502},
       }) {
    INFO(each.status << ' ' << each.message);
    const auto error = decoded(each.status, litellm(each.message, std::to_string(each.status)));
    CHECK(to_string(error.advice.source) == to_string(each.source));
    CHECK(error.advice.retryable == each.retryable);
    CHECK(error.status == each.wanted);
  }
}

TEST_CASE("litellm error: an overloaded model is its provider's fault, whatever dialect says so",
          "[unit][litellm_error]") {
  for (const std::string said : {R"("type":"overloaded_error")", R"("code":"slow_down")",
                                 R"("type":"server_error","code":"server_is_overloaded")",
                                 R"("code":"engine-overloaded")", R"("type":"Model Overloaded")"}) {
    INFO(said);
    CHECK(to_string(decoded(503, R"({"error":{"message":"m",)" + said + "}}").advice.source) ==
          to_string(blame::provider));
  }
  CHECK(to_string(decoded(529, "<html>").advice.source) == to_string(blame::provider));
  CHECK(to_string(decoded(503, litellm("no room", "503")).advice.source) == to_string(blame::litellm));
  // A 400 remains the client's fault.
  CHECK(to_string(decoded(400, R"({"error":{"message":"m","code":"slow_down"}})").advice.source) ==
        to_string(blame::client));
}

TEST_CASE("litellm error: both budget forms are a 429 budget_exceeded that is not worth a retry",
          "[unit][litellm_error]") {
  for (
      const auto& [status, body] : std::vector<std::pair<unsigned, std::string>>{
          {400,
           R"({"error":{"message":"Budget has been exceeded! Current cost: 1","type":"budget_exceeded","param":null,"code":"400"}})"},
          {429, R"({"error":{"message":"ExceededBudget: User over budget","type":"t","param":null}})"}}) {
    const auto error = decoded(status, body);
    CHECK(error.status == 429);
    CHECK(error.body.find(R"("code":"budget_exceeded")") != std::string::npos);
    CHECK_FALSE(error.advice.retryable);
  }
}

TEST_CASE("litellm error: a spent budget or quota is not worth a retry, whatever upstream's own headers say",
          "[unit][litellm_error]") {
  const std::string deployment =
      "No deployments available - crossed budget: Exceeded budget for deployment model_name: inner, try "
      "again in 5s";
  for (const auto& body :
       {litellm(deployment, "429"),
        litellm("litellm.RateLimitError: Budget has been exceeded, retry after 9 s", "429"),
        std::string{
            R"({"error":{"message":"m","type":"insufficient_quota","code":"insufficient_quota"}})"}}) {
    for (const auto wording : {error_wording::normalized, error_wording::raw}) {
      INFO(body);
      const auto answer =
          head(429, {{"x-should-retry", "true"}, {"retry-after", "5"}, {"retry-after-ms", "5000"}});
      const auto error = decode_error(answer, body, true, wording, dialect::chat);
      CHECK(error.status == 429);
      CHECK_FALSE(error.advice.retryable);
      CHECK(error.advice.retry_after.empty());
      CHECK(error.body.find("inner") == std::string::npos);
      CHECK((wording == error_wording::normalized || error.body.empty()));
      auto headers = answer.headers;
      add_advice(headers, error.advice);
      CHECK(headers.find("x-should-retry") == "false");
      CHECK_FALSE(headers.find("retry-after"));
      CHECK_FALSE(headers.find("retry-after-ms"));
    }
  }
  auto headers = head(429, {{"x-should-retry", "false"}, {"retry-after", "5"}}).headers;
  add_advice(headers, decoded(429, litellm("litellm.RateLimitError: slow", "429")).advice);
  CHECK(headers.find("x-should-retry") == "false");
  CHECK(headers.find("retry-after") == "5");
}

TEST_CASE("litellm error: an exceeded context window has OpenAI's code where errors have codes",
          "[unit][litellm_error]") {
  const auto body = litellm(
      "litellm.ContextWindowExceededError: OpenAIException - too long. Received Model Group=g", "400");
  for (const auto speaks : {dialect::chat, dialect::responses, dialect::events}) {
    const auto error = decoded(400, body, speaks);
    CHECK(error.status == 400);
    CHECK_FALSE(error.advice.retryable);
    CHECK(error.body.find(R"("code":"context_length_exceeded")") != std::string::npos);
  }
  // A 500 that the same request would cause again is the client's fault, not the gateway's.
  const auto failed = decoded(500, litellm("litellm.APIConnectionError: maximum context length is 8", "500"));
  CHECK(failed.status == 400);
  CHECK_FALSE(failed.advice.retryable);
  CHECK(to_string(failed.advice.source) == "client");
  const std::string own =
      R"({"type":"error","error":{"type":"invalid_request_error","message":"prompt is too long: 9 > 8"}})";
  CHECK(decoded(400, own, dialect::anthropic).body.empty());
  CHECK(decoded(400, own).body.find(R"("code":"context_length_exceeded")") != std::string::npos);
  const std::string known =
      R"({"error":{"message":"m","type":"t","param":"p","code" : "context_length_exceeded"}})";
  CHECK(decoded(400, known).body.empty());
  const auto raw = decode_error(head(400), body, true, error_wording::raw, dialect::chat);
  CHECK(raw.body.empty());
  CHECK_FALSE(raw.advice.retryable);
}

TEST_CASE("litellm error: an error in an array keeps its message", "[unit][litellm_error]") {
  const std::string body =
      R"([{"error":{"code":400,"message":"API key not valid.","status":"INVALID_ARGUMENT"}}])";
  CHECK(
      decoded(400, body).body ==
      R"({"error":{"message":"API key not valid.","type":"invalid_request_error","param":null,"code":"400"}})");
  CHECK(
      decoded(400, body, dialect::anthropic).body ==
      R"({"type":"error","error":{"message":"API key not valid.","type":"invalid_request_error","param":null,"code":"400"}})");
  CHECK(decode_error(head(400), body, true, error_wording::raw, dialect::chat).body.empty());
  CHECK(decoded(422, R"([{"detail":"no"}])").body.find(R"("message":"no")") != std::string::npos);
  CHECK(decoded(400, "[]").body.find("without a usable body") != std::string::npos);
  CHECK(decoded(400, "[1,{}]").body.find("without a usable body") != std::string::npos);
}

TEST_CASE("litellm error: flat and nested errors get the shape of the route", "[unit][litellm_error]") {
  for (const std::string body :
       {R"({"type":"error","code":"rate_limit_exceeded","message":"m","param":null})",
        R"({"error":{"error":{"code":"rate_limit_exceeded","message":"m"}}})",
        R"({"object":"error","code":"rate_limit_exceeded","message":"m"})"}) {
    INFO(body);
    CHECK(decoded(429, body).body ==
          R"({"error":{"message":"m","type":"rate_limit_error","param":null,"code":"rate_limit_exceeded"}})");
    CHECK(
        decoded(429, body, dialect::anthropic).body ==
        R"({"type":"error","error":{"message":"m","type":"rate_limit_error","param":null,"code":"rate_limit_exceeded"}})");
  }
  CHECK(decoded(400, R"({"detail":{"error":"no such key"}})").body.find(R"("message":"no such key")") !=
        std::string::npos);
  CHECK(decoded(429, R"({"error":{"code":"insufficient_quota"}})").body.find("insufficient_quota.") !=
        std::string::npos);
}

TEST_CASE("litellm error: a refusal of our key is not the client's fault, a refusal of the model is",
          "[unit][litellm_error]") {
  const auto status = [](unsigned upstream, const std::string& type) {
    return decoded(upstream,
                   R"({"error":{"message":"m","type":")" + type + R"(","param":null,"code":"401"}})")
        .status;
  };
  for (const std::string type : {"no_db_connection", "expired_key", "token_not_found_in_db"}) {
    INFO(type);
    CHECK(status(400, type) == 502);
    CHECK(status(401, type) == 502);
  }
  for (const std::string type :
       {"key_model_access_denied", "team_model_access_denied", "org_vector_store_access_denied"}) {
    INFO(type);
    CHECK(status(401, type) == 403);
  }
  CHECK(status(401, "auth_error") == 502);
  CHECK(status(400, "auth_error") == 400);
}

TEST_CASE("litellm error: retry-after comes from LiteLLM's header, the provider's header, or the text",
          "[unit][litellm_error]") {
  const auto body = litellm("litellm.RateLimitError: Please try again in 1m30.5s.", "429");
  const auto waits = [&](std::vector<std::pair<std::string, std::string>> headers) {
    return decode_error(head(429, std::move(headers)), body, true, error_wording::raw, dialect::chat)
        .advice.retry_after;
  };
  CHECK(waits({{"retry-after", "3"}, {"llm_provider-retry-after", "5"}}) == "3");
  CHECK(waits({{"llm_provider-retry-after", "5"}}) == "5");
  CHECK(waits({}) == "91");
  CHECK(waiting_time("try again in 20s") == 20);
  CHECK(waiting_time("Please retry after 7 seconds.") == 7);
  CHECK(waiting_time("try again in 250ms") == 1);
  CHECK(waiting_time("try again in 6m0s") == 360);
  CHECK(waiting_time("try again in 2 hours") == 7200);
  CHECK(waiting_time("try again in a while") == 0);
  CHECK(waiting_time("try again in 99999999999s") == 0);
  CHECK(waiting_time("later") == 0);
}

TEST_CASE("litellm error: errors of other shapes get the shape that the client knows",
          "[unit][litellm_error]") {
  CHECK(decoded(404, R"({"detail":"Not Found"})").body ==
        R"({"error":{"message":"Not Found","type":"invalid_request_error","param":null,"code":null}})");
  CHECK(decoded(422, R"({"detail":[{"loc":["body"],"msg":"a"},{"msg":"b"}]})").body ==
        R"({"error":{"message":"a; b","type":"invalid_request_error","param":null,"code":null}})");
  CHECK(decoded(429, R"({"error":"slow down"})").body ==
        R"({"error":{"message":"slow down","type":"rate_limit_error","param":null,"code":null}})");
  CHECK(
      decoded(503, "<html>").body ==
      R"({"error":{"message":"The model gateway answered 503 without a usable body.","type":"upstream_error","param":null,"code":"upstream_error"}})");
  CHECK(decoded(429, litellm("slow", "429"), dialect::anthropic).body ==
        R"({"type":"error","error":{"message":"slow","type":"rate_limit_error","param":null,"code":"429"}})");
  CHECK(decoded(529, R"({"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}})",
                dialect::anthropic)
            .body.empty());
}

namespace {

std::string worded(const std::string& event, dialect speaks = dialect::chat) {
  return worded_error_event(event, error_wording::normalized, speaks, 7);
}

/// The error event that LiteLLM writes within a stream, the same on every route.
const std::string chat_shaped =
    "data: {\"error\":{\"message\":\"litellm.APIError: "
    "down\",\"type\":\"None\",\"param\":\"None\",\"code\":\"503\"}}"
    "\n\n";

}  // namespace

TEST_CASE("litellm error: an error event that has its dialect's shape passes byte for byte, except internals",
          "[unit][litellm_error]") {
  const std::string clean = "id: 1\ndata:  {\"error\" : {\"message\":\"m\",\"type\":\"t\"}}\r\n\r\n";
  CHECK(worded(clean) == clean);
  CHECK(worded(clean, dialect::events) == clean);
  const std::string anthropic =
      "event: error\ndata: "
      "{\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"m\"}}\n\n";
  CHECK(worded(anthropic, dialect::anthropic) == anthropic);
  const std::string responses =
      "event: error\ndata: "
      "{\"type\":\"error\",\"code\":null,\"message\":\"m\",\"param\":null,\"sequence_number\":3}"
      "\n\n";
  CHECK(worded(responses, dialect::responses) == responses);
  const std::string inside =
      R"({"error":{"message":"m. Received Model Group=g","type":"None","code":"500"}})";
  CHECK(worded("data: " + inside + "\n\n") ==
        "data: {\"error\":{\"message\":\"m.\",\"type\":null,\"code\":\"500\"}}\n\n");
  for (const auto speaks : {dialect::chat, dialect::anthropic, dialect::responses}) {
    CHECK(worded_error_event("data: " + inside + "\n\n", error_wording::raw, speaks, 7) ==
          "data: " + inside + "\n\n");
  }
}

TEST_CASE("litellm error: an error event of any shape becomes one that its dialect's SDKs raise",
          "[unit][litellm_error]") {
  const std::string flat = R"({"type":"error","code":"server_error","message":"flat","param":null})";
  const std::string nested = R"({"type":"error","error":{"type":"api_error","message":"nested"}})";
  struct row {
    std::string event;
    std::string message;
  };
  for (const auto& [event, message] :
       {row{"data: " + flat + "\n\n", "flat"}, row{"data: " + nested + "\n\n", "nested"},
        row{R"(data: {"error":"a text"})"
            "\n\n",
            "a text"},
        row{R"(data: {"detail":"a detail"})"
            "\n\n",
            "a detail"},
        row{"event: error\ndata: Internal Server Error\n\n", "Internal Server Error"},
        row{"event: error\ndata: {}\n\n", "The model gateway reported an error in its stream."},
        row{"event: error\ndata: {\"error\":{}}\n\n", "The model gateway reported an error in its stream."},
        row{"event: error\r\ndata: {\"error\":{\"message\":\"at\r\ndata: http://10.0.0.7/x\"}}\r\n\r\n",
            ""}}) {
    CAPTURE(event);
    const auto as_chat = worded(event);
    CHECK(as_chat.find(R"("error":{)") != std::string::npos);
    CHECK(as_chat.find(R"("message":")" + message) != std::string::npos);
    const auto as_anthropic = worded(event, dialect::anthropic);
    CHECK(as_anthropic.find("event: error\n") == 0);
    CHECK(as_anthropic.find(R"("type":"error","error":{"message":")" + message) != std::string::npos);
    const auto as_responses = worded(event, dialect::responses);
    CHECK(as_responses.find("event: error\ndata: {\"type\":\"error\",\"code\":") == 0);
    CHECK(as_responses.find(R"("message":")" + message) != std::string::npos);
    CHECK(as_responses.find(R"("sequence_number":7)") != std::string::npos);
    for (const auto& each : {as_chat, as_anthropic, as_responses}) {
      CHECK(each.substr(each.size() - 2) == "\n\n");
      CHECK(each.find("10.0.0.7") == std::string::npos);
    }
  }
}

TEST_CASE("litellm error: LiteLLM's chat-shaped error becomes Anthropic's and the Responses API's",
          "[unit][litellm_error]") {
  CHECK(worded(chat_shaped, dialect::anthropic).find("event: error\ndata: {\"type\":\"error\",\"error\":{") ==
        0);
  CHECK(worded(chat_shaped, dialect::anthropic).find(R"("type":"overloaded_error")") != std::string::npos);
  CHECK(worded(chat_shaped, dialect::responses).find(R"("sequence_number":7)") != std::string::npos);
  CHECK(worded(chat_shaped).find(R"("type":null,"param":null,"code":"503"})") != std::string::npos);
  // An event without a sequence number gets one.
  const std::string unnumbered =
      "event: error\ndata: {\"type\":\"error\",\"code\":\"x\",\"message\":\"m\"}\n\n";
  CHECK(worded(unnumbered, dialect::responses).find(R"("sequence_number":7)") != std::string::npos);
}

TEST_CASE("error text: internal addresses are cut, others stay", "[unit][error_text]") {
  CHECK(without_internals("at http://10.0.0.7:8000/v1/chat failed") == "at [address] failed");
  CHECK(without_internals("see https://platform.openai.com/docs/a.") ==
        "see https://platform.openai.com/docs/a.");
  CHECK(without_internals("http://litellm-db/x, https://a.internal/y") == "[address], [address]");
  CHECK(without_internals(
            "Cannot connect to host vllm:8000 ssl:default [Connect call failed ('127.0.0.1', 8000)]") ==
        "Cannot connect to host [address] ssl:default [Connect call failed ('[address]', 8000)]");
  CHECK(without_internals("ssl:<ssl.SSLContext object at 0x7fdc> <b>bold</b>") == "ssl:[object] <b>bold</b>");
  CHECK(without_internals("redis://:secret@cache:6379/0 down") == "[address] down");
  CHECK(without_internals("version 1.2.3 and 1.2.3.4.5") == "version 1.2.3 and 1.2.3.4.5");
  CHECK(without_internals("boom\nTraceback (most recent call last):\n File x") == "boom");
  CHECK(without_internals(
            "slow\n\nDeployment Info: request_timeout: None\ntimeout: 1. Received Model Group=x") == "slow");
  CHECK(without_internals("").empty());
}

TEST_CASE("error shape: an event for each dialect", "[unit][error_shape]") {
  const failure cut{.code = errc::upstream_timeout, .message = "late", .detail = "10.0.0.1"};
  CHECK(error_event(dialect::chat, cut, 3) ==
        "data: "
        "{\"error\":{\"message\":\"late\",\"type\":\"upstream_error\",\"param\":null,\"code\":\"upstream_"
        "timeout\"}}\n\n");
  CHECK(error_event(dialect::anthropic, cut, 3) ==
        "event: error\ndata: "
        "{\"type\":\"error\",\"error\":{\"message\":\"late\",\"type\":\"timeout_error\",\"param\":null,"
        "\"code\":\"upstream_timeout\"}}\n\n");
  CHECK(error_event(dialect::responses, cut, 3)
            .find("event: error\ndata: {\"type\":\"error\",\"code\":\"upstream_timeout\"") == 0);
  CHECK(error_event(dialect::responses, cut, 3).find(R"("param":null,"sequence_number":3,)") !=
        std::string::npos);
  CHECK(error_body(dialect::chat, failure{.code = errc::unauthorized})
            .find(R"({"detail":"unauthorized","error":{)") == 0);
}

}  // namespace llm_proxy
