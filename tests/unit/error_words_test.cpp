#include "http/answer/error_words.hpp"

#include "http/answer/litellm_classes.hpp"
#include "support/catch.hpp"

#include <set>
#include <string>
#include <vector>

namespace llm_proxy {

namespace {

/// Returns the meaning of an error given as JSON.
error_meaning meaning(std::string_view json) {
  const auto error = find_error(sole_object(json));
  CHECK(error.present);
  return meaning_of(error);
}

}  // namespace

TEST_CASE("error words: each row is found by its word in any spelling, and is an error status",
          "[unit][error_words]") {
  std::set<std::string_view> seen;
  for (const auto& row : all_error_words()) {
    INFO(row.word);
    CHECK(seen.insert(row.word).second);
    CHECK((row.status >= 400 && row.status < 600));
    const bool passes = row.status == 409 || row.status == 429 || row.status >= 500;
    CHECK((passes || !row.retryable));
    std::string loud{row.word};
    std::string hyphened{row.word};
    for (auto& c : loud) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
    for (auto& c : hyphened) c = c == '_' ? '-' : c;
    for (const auto& spelling : {std::string{row.word}, loud, hyphened}) {
      const auto found = find_error_word(spelling);
      REQUIRE(found);
      CHECK(found->word == row.word);
    }
  }
}

TEST_CASE("error words: a row counts as a code and as a type, in every shape that an error has",
          "[unit][error_words]") {
  for (const auto& row : all_error_words()) {
    const std::string word{row.word};
    for (const auto& json : {
             R"({"error":{"message":"m","type":")" + word + R"("}})",
             R"({"error":{"message":"m","type":null,"code":")" + word + R"("}})",
             R"({"error":{"code":")" + word + R"("}})",
             R"({"error":{"code":"200","type":")" + word + R"("}})",
             R"({"error":{"error":{"type":")" + word + R"(","message":"m"}}})",
             R"({"error":{"status":")" + word + R"(","message":"m"}})",
             R"([{"error":{"status":")" + word + R"(","message":"m"}}])",
             R"({"error":")" + word + R"("})",
             R"({"type":"error","error":{"type":")" + word + R"(","message":"m"}})",
             R"({"type":"error","code":")" + word + R"(","message":"m","param":null,"sequence_number":1})",
             R"({"object":"error","type":")" + word + R"(","message":"m","code":null})",
             R"({"type":"response.failed","response":{"error":{"code":")" + word + R"(","message":"m"}}})",
         }) {
      INFO(json);
      const auto found = meaning(json);
      CHECK(found.status == row.status);
      CHECK(found.retryable == row.retryable);
      CHECK(found.in_words);
    }
  }
}

TEST_CASE(
    "error words: a number counts before the code, the code before the type, the type before LiteLLM's class",
    "[unit][error_words]") {
  const std::string message = R"("message":"litellm.NotFoundError: OpenAIException - no")";
  CHECK(meaning("{\"error\":{" + message + R"(,"type":"overloaded_error","code":"429"}})").status == 429);
  CHECK(meaning("{\"error\":{" + message + R"(,"type":"overloaded_error","code":422}})").status == 422);
  CHECK(meaning("{\"error\":{" + message + R"(,"type":"overloaded_error","status":503}})").status == 503);
  CHECK(
      meaning("{\"error\":{" + message + R"(,"type":"overloaded_error","code":"invalid_api_key"}})").status ==
      401);
  CHECK(meaning("{\"error\":{" + message + R"(,"type":"overloaded_error","code":"x"}})").status == 529);
  CHECK(meaning("{\"error\":{" + message + R"(,"type":"None","code":"None"}})").status == 404);
  CHECK_FALSE(meaning("{\"error\":{" + message + "}}").retryable);
  CHECK(meaning(R"({"error":"litellm.Timeout: slow"})").status == 408);
  const auto unknown = meaning(R"({"error":{"message":"m","type":"x","code":"y"}})");
  CHECK(unknown.status == 502);
  CHECK(unknown.retryable);
  CHECK_FALSE(unknown.in_words);
}

TEST_CASE("error words: each of LiteLLM's classes has its status, in a message and as a type",
          "[unit][error_words]") {
  for (const auto& row : litellm_classes()) {
    INFO(row.name);
    const std::string name{row.name};
    CHECK_FALSE(row.text.empty());
    CHECK(litellm_class_in("litellm." + name + ": m") == &row);
    CHECK(litellm_class_in("litellm.exceptions." + name + ": m") == &row);
    CHECK(meaning(R"({"error":{"message":"litellm.)" + name + R"(: m","type":null}})").status == row.status);
    // As a type, Timeout is also one of OpenAI's words, whose 504 wins.
    const auto as_type = row.name == "Timeout" ? 504U : row.status;
    CHECK(meaning(R"({"object":"error","message":"m","type":")" + name + "\"}").status == as_type);
  }
  CHECK(litellm_class_in("no class") == nullptr);
  CHECK(litellm_class_in("litellm.Other: m") == nullptr);
}

TEST_CASE("error words: a word that is in no list is judged by a known part of it", "[unit][error_words]") {
  struct row {
    std::string word;
    unsigned status;
    bool retryable;
  };
  for (const auto& each : std::vector<row>{{"organization_rate_limit_reached", 429, true},
                                           {"monthly_quota_used_up", 429, false},
                                           {"insufficient_credits", 402, false},
                                           {"model_overloaded", 503, true},
                                           {"backend_timeout", 504, true},
                                           {"file_not_found", 404, false},
                                           {"project_access_denied", 403, false},
                                           {"invalid_tool_call", 400, false},
                                           {"unsupported_file", 400, false}}) {
    INFO(each.word);
    const auto found = meaning(R"({"error":{"message":"m","code":")" + each.word + "\"}}");
    CHECK(found.status == each.status);
    CHECK(found.retryable == each.retryable);
  }
  CHECK_FALSE(find_error_word("scripted_error"));
  CHECK_FALSE(find_error_word(""));
  CHECK_FALSE(find_error_word(std::string(1000, 'i')));
}

TEST_CASE(
    "error words: a word that fits the status of the answer refines its retry advice, any other does not",
    "[unit][error_words]") {
  const auto under = [](unsigned status, std::string_view type, std::string_view message = "m") {
    embedded_error error;
    error.present = true;
    error.type = type;
    error.message = message;
    return meaning_of(error, status);
  };
  CHECK_FALSE(under(429, "insufficient_quota").retryable);
  CHECK(under(429, "rate_limit_error").retryable);
  CHECK(under(408, "invalid_request_error").retryable);
  CHECK_FALSE(under(400, "overloaded_error").retryable);
  CHECK(under(400, "overloaded_error").status == 400);
  CHECK(under(503, "internal_server_error").retryable);
  CHECK_FALSE(under(429, "throttling_error", "RateLimitError - {'code': 'insufficient_quota'}").retryable);
}

TEST_CASE("error words: a spent budget is a 429 that is never retried, whatever its words",
          "[unit][error_words]") {
  for (const std::string message :
       {"Budget has been exceeded! Current cost: 1, Max budget: 0.5",
        "ExceededBudget: User=u over budget. Spend=1",
        "No deployments available - crossed budget: Exceeded budget for deployment model_name: m",
        "litellm.BudgetExceededError: Budget has been exceeded",
        "Exceeded budget for provider openai: 2 >= 1", "Exceeded budget for tag='prod', tag_spend=1",
        "Team=t over budget. Spend=1", "Your budget is exhausted."}) {
    for (const std::string code : {"null", "\"400\"", "\"429\"", "\"500\""}) {
      INFO(message << ' ' << code);
      const auto found =
          meaning(R"({"error":{"message":")" + message + R"(","type":"None","code":)" + code + "}}");
      CHECK(found.status == 429);
      CHECK_FALSE(found.retryable);
      CHECK(found.code == "budget_exceeded");
    }
  }
  CHECK(meaning(R"({"error":{"message":"m","type":"budget_exceeded","code":"400"}})").code ==
        "budget_exceeded");
  for (const std::string message :
       {"thinking.budget_tokens exceeds max_tokens", "The retry budget is exhausted"}) {
    INFO(message);
    CHECK(meaning(R"({"error":{"message":")" + message + R"(","code":"400"}})").code.empty());
  }
}

TEST_CASE("error words: an exceeded context window has OpenAI's code, whoever words it",
          "[unit][error_words]") {
  for (const std::string message :
       {"litellm.ContextWindowExceededError: litellm.BadRequestError: OpenAIException - too long",
        "litellm.BadRequestError: ContextWindowExceededError: Hosted_vllmException - m",
        "This model's maximum context length is 4097 tokens.",
        "prompt is too long: 200001 tokens > 200000 maximum",
        "input length and `max_tokens` exceed context limit: 1 + 2 > 2",
        "Your input exceeds the context window of this model",
        "The input token count (9) exceeds the maximum number of tokens allowed (8).",
        "Input is too long for requested model.", "This model's maximum prompt length is 131072"}) {
    for (const std::string code : {"null", "\"400\"", "400", "\"500\""}) {
      INFO(message << ' ' << code);
      const auto found =
          meaning(R"({"error":{"message":")" + message + R"(","type":null,"code":)" + code + "}}");
      CHECK(found.status == 400);
      CHECK_FALSE(found.retryable);
      CHECK(found.code == "context_length_exceeded");
    }
  }
  CHECK(meaning(R"({"error":{"message":"m","code":"context_length_exceeded"}})").status == 400);
  CHECK(meaning(R"({"error":{"message":"Prompt is too long","code":"413"}})").status == 413);
  CHECK(meaning(R"({"error":{"message":"maximum context length per minute","code":"429"}})").code.empty());
  CHECK(meaning(R"({"error":{"message":"Unknown parameter: context window.","code":"400"}})").code.empty());
}

}  // namespace llm_proxy
