// What the client gets when an upstream answers with an error, in whatever form.
#include "support/catch.hpp"
#include "support/upstream_chat.hpp"
#include "support/whole_answers.hpp"

#include <string>
#include <vector>

namespace llm_proxy::test {

TEST_CASE("answer: 4xx and the retryable 5xx keep status and body, others become 502",
          "[service][upstream][answer]") {
  const std::string body =
      "{ \"error\" : {\"message\":\"m\",\"type\":\"t\",\"param\":null,\"code\":\"x\"},\"n\":1.0}\n";
  scripted_upstream up;
  proxy service{litellm_settings(up.url())};
  for (const bool stream : {false, true}) {
    for (const auto& [from, to] : std::vector<std::pair<int, int>>{{400, 400},
                                                                   {402, 402},
                                                                   {403, 403},
                                                                   {404, 404},
                                                                   {409, 409},
                                                                   {413, 413},
                                                                   {422, 422},
                                                                   {429, 429},
                                                                   {451, 451},
                                                                   {499, 499},
                                                                   {503, 503},
                                                                   {504, 504},
                                                                   {529, 529},
                                                                   {500, 502},
                                                                   {501, 502},
                                                                   {502, 502},
                                                                   {520, 502},
                                                                   {599, 502}}) {
      INFO(from << " stream " << stream);
      up.set_script(always({from, body, {{"content-type", "application/json"}, {"retry-after", "7"}}}));
      const auto answer = chat(service, chat_body("m", stream));
      CHECK(answer.status == to);
      CHECK(answer.body == body);
      CHECK(answer.header("retry-after") == "7");
      CHECK(answer.complete);
    }
  }
}

TEST_CASE("answer: a refusal of our own key is a 502, a timeout that upstream reports a 504",
          "[service][upstream][answer]") {
  scripted_upstream up;
  proxy service{litellm_settings(up.url())};
  const auto outcome = [&](int status, const std::string& type) {
    up.set_script(always({status,
                          R"({"error":{"message":"sk-secret","type":")" + type + R"(","code":"1"}})",
                          {{"content-type", "application/json"}, {"retry-after", "7"}}}));
    return chat(service, chat_body("m"));
  };
  auto answer = outcome(401, "auth_error");
  CHECK(answer.status == 502);
  CHECK(contains(answer.body, R"("code":"upstream_auth")"));
  CHECK_FALSE(contains(answer.body, "sk-secret"));
  CHECK(answer.header("retry-after") == "7");
  CHECK_FALSE(answer.has("www-authenticate"));
  answer = outcome(401, "key_model_access_denied");
  CHECK(answer.status == 403);
  CHECK(contains(answer.body, "key_model_access_denied"));
  answer = outcome(400, "no_db_connection");
  CHECK(answer.status == 502);
  CHECK(contains(answer.body, R"("code":"upstream_auth")"));
  answer = outcome(408, "Timeout");
  CHECK(answer.status == 504);
  CHECK(contains(answer.body, R"("code":"upstream_timeout")"));
  CHECK(answer.header("retry-after") == "7");
}

TEST_CASE("answer: a redirect is never followed", "[service][upstream][answer]") {
  scripted_upstream elsewhere;
  scripted_upstream up;
  proxy service{litellm_settings(up.url())};
  for (const int status : {300, 301, 302, 303, 304, 307, 308}) {
    up.set_script(always({status, "", {{"location", elsewhere.url("/v1/chat/completions")}}}));
    const auto answer = chat(service, chat_body("m"));
    INFO(status);
    CHECK(answer.status == 502);
    CHECK(contains(answer.body, R"("code":"upstream_invalid_response")"));
    CHECK_FALSE(answer.has("location"));
    CHECK_FALSE(contains(answer.body, std::to_string(elsewhere.port())));
  }
  CHECK(elsewhere.accepted() == 0);
}

TEST_CASE("answer: an error body that is not a JSON object is replaced by one",
          "[service][upstream][answer]") {
  scripted_upstream up;
  proxy service{litellm_settings(up.url())};
  const std::vector<wanted> rows{
      {404, "<html>nginx at 10.0.0.7</html>", {{"content-type", "text/html"}}},
      {500, "Internal Server Error", {{"content-type", "text/plain"}}},
      {429, "[]"},
      {400, "\"text\""},
      {503, ""},
      {422, "{\"detail\":"},
      {413, "{\"a\":\"\xff\"}"},
      {429, "", {{"content-type", "application/json"}, {"content-encoding", "gzip"}}}};
  for (auto row : rows) {
    row.headers.emplace_back("retry-after", "7");
    up.set_script(always(row));
    const auto answer = chat(service, chat_body("m"));
    INFO(row.status << " " << row.body);
    CHECK(answer.status == (row.status == 500 ? 502 : row.status));
    CHECK(answer.all("content-type") == std::vector<std::string>{"application/json"});
    CHECK_FALSE(answer.has("content-encoding"));
    CHECK(answer.body.starts_with(R"({"error":{"message":)"));
    CHECK(contains(answer.body, R"("param":null,"code":")"));
    CHECK_FALSE(contains(answer.body, "10.0.0.7"));
    CHECK(answer.header("retry-after") == "7");
  }
}

TEST_CASE("answer: an error inside a 200 gets the status that its code names, or else 502",
          "[service][upstream][answer]") {
  scripted_upstream up;
  proxy service{litellm_settings(up.url())};
  const auto status = [&](const std::string& code) {
    up.set_script(always({200, R"({"error":{"message":"m","type":"t","param":null,"code":)" + code + "}}"}));
    return chat(service, chat_body("m")).status;
  };
  for (const auto& [code, wanted_status] :
       std::vector<std::pair<std::string, int>>{{"\"429\"", 429},
                                                {"400", 400},
                                                {"\"503\"", 503},
                                                {"500", 502},
                                                {"\"401\"", 502},
                                                {"408", 504},
                                                {"\"context_length\"", 502},
                                                {"null", 502},
                                                {"200", 502},
                                                {"99999999999", 502}}) {
    INFO(code);
    CHECK(status(code) == wanted_status);
  }
  up.set_script(always({200, R"({"error":null,"choices":[]})"}));
  CHECK(chat(service, chat_body("m")).status == 200);
}

TEST_CASE("answer: an error over 4 MiB keeps its status", "[service][upstream][answer]") {
  scripted_upstream up{always({429, R"({"a":")" + std::string(5 << 20, 'b') + "\"}"})};
  proxy service{litellm_settings(up.url())};
  const auto answer = chat(service, chat_body("m"));
  CHECK(answer.status == 429);
  CHECK(answer.body.starts_with(R"({"error":{)"));
}

}  // namespace llm_proxy::test
