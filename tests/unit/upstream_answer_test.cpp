#include "http/answer/upstream_answer.hpp"

#include "http/json/json_scanner.hpp"
#include "support/catch.hpp"

#include <string>
#include <vector>

namespace llm_proxy {

namespace {

response_head head(unsigned status, std::string_view type = "application/json",
                   std::string_view encoding = {}) {
  response_head answer;
  answer.status = status;
  if (!type.empty()) answer.headers.add("content-type", type);
  if (!encoding.empty()) answer.headers.add("content-encoding", encoding);
  return answer;
}

const std::string error = R"({"error":{"message":"m","type":"t","param":null,"code":"c"}})";

held_verdict judged(const response_head& answer, std::string_view body) {
  return judge_held(answer, body, {});
}

}  // namespace

TEST_CASE("upstream answer: an event stream counts as one only if it was asked for", "[unit][upstream]") {
  CHECK(plan_answer(head(200, "text/event-stream"), {.may_stream = true}) == answer_plan::stream);
  CHECK(plan_answer(head(200, "Text/Event-Stream; charset=utf-8"), {.may_stream = true}) ==
        answer_plan::stream);
  CHECK(plan_answer(head(200, "text/event-stream"), {.may_stream = false}) == answer_plan::hold);
  CHECK(plan_answer(head(200, "text/event-streams"), {.may_stream = true}) == answer_plan::hold);
  CHECK(plan_answer(head(200, ""), {.may_stream = true}) == answer_plan::hold);
  CHECK(plan_answer(head(429, "text/event-stream"), {.may_stream = true}) == answer_plan::hold);
}

TEST_CASE("upstream answer: redirects and invalid statuses are refused", "[unit][upstream]") {
  for (const unsigned status : {0U, 99U, 199U, 300U, 302U, 399U, 600U, 999U}) {
    INFO(status);
    CHECK(plan_answer(head(status), {.may_stream = false}) == answer_plan::refuse);
    CHECK(plan_answer(head(status, "text/event-stream"), {.may_stream = true}) == answer_plan::refuse);
  }
}

TEST_CASE("upstream answer: every error status becomes one for the client", "[unit][upstream]") {
  for (unsigned status = 400; status < 600; ++status) {
    INFO(status);
    const auto outcome = judged(head(status), error);
    unsigned wanted = status;
    if (status >= 500 && status != 503 && status != 504 && status != 529) wanted = 502;
    if (status == 401) wanted = 502;
    if (status == 408) wanted = 504;
    CHECK(outcome.status == wanted);
    CHECK(outcome.body.has_value() == (status == 401 || status == 408));
    CHECK(outcome.code != errc::none);
    CHECK_FALSE(outcome.detail.empty());
  }
}

TEST_CASE("upstream answer: a 401 is our key's fault, but a model our key may not use is the client's",
          "[unit][upstream]") {
  CHECK(judged(head(401), error).code == errc::upstream_auth);
  CHECK(judged(head(401), "no JSON").code == errc::upstream_auth);
  CHECK(judged(head(401), "").code == errc::upstream_auth);
  const auto denied = judged(head(401), R"({"error":{"message":"no","type":"key_model_access_denied"}})");
  CHECK(denied.status == 403);
  CHECK_FALSE(denied.body);
  CHECK(judged(head(400), R"({"error":{"type":"no_db_connection"}})").code == errc::upstream_auth);
  CHECK(judged(head(400), R"({"type":"no_db_connection"})").status == 400);
}

TEST_CASE("upstream answer: an error body that is not a JSON object is replaced, and its status kept",
          "[unit][upstream]") {
  for (const std::string body : {"", "text", "[]", "1", "{", "{}{}", "{\"a\":\"\xff\"}"}) {
    INFO(body);
    const auto outcome = judged(head(429), body);
    CHECK(outcome.status == 429);
    REQUIRE(outcome.body);
    CHECK(is_json_object(*outcome.body));
  }
  const response_head plain = head(429);
  CHECK_FALSE(judge_held(plain, R"({"detail":"x"})", {.wording = error_wording::raw}).body);
  CHECK(judged(plain, R"({"detail":"x"})").body ==
        R"({"error":{"message":"x","type":"rate_limit_error","param":null,"code":null}})");
  CHECK_FALSE(judged(head(429, "application/json", "gzip"), "\x1f\x8b").body);
  CHECK(judged(head(429, "application/json", "gzip"), "").body);
}

TEST_CASE("upstream answer: a success is valid JSON in UTF-8", "[unit][upstream]") {
  const auto good = judged(
      head(200), R"({"choices":[],"usage":{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3}})");
  CHECK(good.status == 200);
  CHECK(good.code == errc::none);
  REQUIRE(good.usage);
  CHECK(good.usage->completion_tokens == 2);
  CHECK(good.model.empty());
  CHECK(judge_held(head(200), R"({"model":"m-1","choices":[]})", {}).model == "m-1");
  for (const std::string body : {"{}", "{\"error\":null}", "{\"error\":\"\"}"}) {
    INFO(body);
    CHECK(judged(head(200), body).code == errc::none);
  }
  for (const std::string body : {"", " ", "<html>", "{", "{\"a\":\"\xff\"}", "{}x", "\xEF\xBB\xBF{}"}) {
    INFO(body);
    const auto bad = judged(head(200), body);
    CHECK(bad.status == 502);
    CHECK(bad.code == errc::upstream_invalid_response);
    CHECK(bad.body);
  }
  CHECK(judged(head(200, "application/json", "br"), "\xff").code == errc::none);
  CHECK(judged(head(200, "application/json", "br"), "").status == 502);
  CHECK(judged(head(200, "application/json", "identity"), "\xff").status == 502);
}

TEST_CASE("upstream answer: a success that is JSON but not an object is a 502, unless any media may come",
          "[unit][upstream]") {
  for (const std::string body :
       {"null", " null ", "[]", "[{}]", "[1]", "\"a\"", "\"\"", "1", "0", "true", "false"}) {
    INFO(body);
    for (const auto speaks : {dialect::chat, dialect::responses, dialect::anthropic, dialect::events}) {
      const auto bad = judge_held(head(200), body, {.speaks = speaks});
      CHECK(bad.status == 502);
      CHECK(bad.code == errc::upstream_invalid_response);
      CHECK(bad.advice.retryable);
      CHECK(bad.body);
    }
    CHECK(judge_held(head(200), body, {.any_media = true}).code == errc::none);
  }
}

TEST_CASE("upstream answer: an error inside a success is treated as if it had the status it names",
          "[unit][upstream]") {
  const auto status = [](const std::string& code) {
    return judged(head(200), R"({"error":{"message":"m","code":)" + code + "}}").status;
  };
  CHECK(status("429") == 429);
  CHECK(status("\"404\"") == 404);
  CHECK(status("\"408\"") == 504);
  CHECK(status("401") == 502);
  CHECK(status("500") == 502);
  CHECK(status("\"529\"") == 529);
  CHECK(status("\"x\"") == 502);
  CHECK(status("302") == 502);
  CHECK(judged(head(200), R"({"error":"text"})").status == 502);
  CHECK(judged(head(200), R"({"type":"error","code":"rate_limit_exceeded","message":"m"})").status == 429);
  CHECK(judged(head(200), R"({"object":"error","type":"BadRequestError","message":"m"})").status == 400);
  CHECK(judged(head(200), R"([{"error":{"code":404,"message":"m"}}])").status == 404);
}

TEST_CASE("upstream answer: a 204 is a success only where the answer may be empty", "[unit][upstream]") {
  answer_terms deleting;
  deleting.may_be_empty = true;
  for (const unsigned status : {204U, 205U}) {
    const auto done = judge_held({status, {}}, "", deleting);
    CHECK(done.code == errc::none);
    CHECK(done.status == status);
    CHECK_FALSE(done.body);
    CHECK(judge_held({status, {}}, "", {}).code == errc::upstream_invalid_response);
  }
  CHECK(judge_held(head(200), "", deleting).code == errc::upstream_invalid_response);
}

TEST_CASE("upstream answer: a 304 passes if the client sent a condition, and no other 3xx ever passes",
          "[unit][upstream]") {
  answer_terms asked{.as_it_comes = true};
  CHECK(plan_answer({304, {}}, asked) == answer_plan::refuse);
  asked.has_condition = true;
  CHECK(plan_answer({304, {}}, asked) == answer_plan::pass);
  for (const unsigned status : {300U, 301U, 302U, 303U, 307U, 308U}) {
    CHECK(plan_answer({status, {}}, asked) == answer_plan::refuse);
  }
  CHECK(plan_answer({206, {}}, asked) == answer_plan::pass);
  CHECK(plan_answer({412, {}}, asked) == answer_plan::hold);
}

TEST_CASE("upstream answer: an answer that cannot be used says what is wrong with it", "[unit][upstream]") {
  const auto told = [](std::string_view body) { return *judge_held(head(200), body, {}).body; };
  CHECK(told("").find("The model gateway answered without a body.") != std::string::npos);
  CHECK(told("<html>").find("The model gateway's answer is not valid JSON.") != std::string::npos);
}

TEST_CASE("upstream answer: the code of an answer that was cut depends on whether it was a stream",
          "[unit][upstream]") {
  const auto named = [](errc code, bool streaming) { return cut_answer({.code = code}, streaming).code; };
  CHECK(named(errc::upstream_invalid_response, true) == errc::upstream_disconnected);
  CHECK(named(errc::upstream_disconnected, true) == errc::upstream_disconnected);
  CHECK(named(errc::upstream_disconnected, false) == errc::upstream_disconnected);
  CHECK(named(errc::upstream_invalid_response, false) == errc::upstream_invalid_response);
  for (const bool streaming : {false, true}) {
    CHECK(named(errc::upstream_timeout, streaming) == errc::upstream_timeout);
    CHECK(named(errc::drained, streaming) == errc::drained);
  }
}

}  // namespace llm_proxy
