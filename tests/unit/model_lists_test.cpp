#include "actors/models/model_lists.hpp"

#include "support/catch.hpp"

#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace llm_proxy {

namespace {

model_list openai_list() {
  std::vector<model_entry> all(3);
  all[0].id = "gpt-4o";
  all[1].id = "claude-x";
  all[2].id = "fast";
  all[2].stands_for = "gpt-4o";
  return std::make_shared<const std::vector<model_entry>>(std::move(all));
}

anthropic_list list_of(std::vector<anthropic_model> all) {
  return std::make_shared<const std::vector<anthropic_model>>(std::move(all));
}

models known_models() {
  return {.list = openai_list(),
          .anthropic = list_of({{"gpt-4o", R"({"id":"gpt-4o"})"}, {"claude-x", R"({"id":"claude-x"})"}}),
          .claude_code = list_of({{"claude-router-6770742d346f[1m]", R"({"view":"gpt-4o"})"},
                                  {"claude-x", R"({"view":"claude-x"})"},
                                  {"claude-router-66617374", R"({"view":"fast"})", "gpt-4o"}})};
}

/// Returns the body of the answer, or the code of the failure.
std::string asked(const models& known, const header_list& headers,
                  const std::vector<std::string>& allowed = {}, endpoint target = endpoint::models,
                  std::string_view detail = {}) {
  request_head head;
  head.target = "/v1/models";
  head.headers = headers;
  const auto body =
      model_list_body(known, {.target = target, .detail = detail, .head = head, .allowed = allowed});
  const auto* reason = std::get_if<failure>(&body);
  return reason != nullptr ? std::string{describe(reason->code).name} : std::get<std::string>(body);
}

header_list with(std::initializer_list<std::pair<std::string_view, std::string_view>> fields) {
  header_list headers;
  for (const auto& [name, value] : fields) headers.add(name, value);
  return headers;
}

bool holds(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

const auto anthropic = with({{"anthropic-version", "2023-06-01"}});
const auto claude_code = with({{"anthropic-version", "2023-06-01"}, {"user-agent", "claude-code/2.0"}});

}  // namespace

TEST_CASE("model lists: each client gets the list that LiteLLM has for it", "[unit][models]") {
  const auto known = known_models();
  CHECK(holds(asked(known, {}), R"("object":"list")"));
  CHECK(holds(asked(known, with({{"user-agent", "claude-code/2.0"}})), R"("object":"list")"));
  CHECK(holds(asked(known, anthropic), R"({"id":"gpt-4o"},{"id":"claude-x"})"));
  CHECK(holds(asked(known, claude_code), R"({"view":"gpt-4o"},{"view":"claude-x"},{"view":"fast"})"));
  CHECK(asked(known, claude_code, {}, endpoint::llm_models).starts_with(R"([{"id":"gpt-4o",)"));
  CHECK(asked(known, claude_code, {}, endpoint::model, "claude-x") == R"({"view":"claude-x"})");
  CHECK(asked(known, anthropic, {}, endpoint::model, "claude-x") == R"({"id":"claude-x"})");
  CHECK(asked(known, claude_code, {}, endpoint::model, "gpt-4o") == "model_not_found");
}

TEST_CASE("model lists: an older LiteLLM's client gets the next best list", "[unit][models]") {
  auto known = known_models();
  known.claude_code = nullptr;
  CHECK(holds(asked(known, claude_code), R"({"id":"gpt-4o"},{"id":"claude-x"})"));
  known.anthropic = nullptr;
  CHECK(holds(asked(known, claude_code), R"("id":"fast","display_name":"fast")"));
}

TEST_CASE(
    "model lists: a key with patterns sees the ids of the models it may use, in every shape of the list",
    "[unit][models]") {
  const auto known = known_models();
  for (const auto& headers : {header_list{}, anthropic, claude_code}) {
    const auto gpt = asked(known, headers, {"gpt-4*"});
    CHECK(holds(gpt, "gpt-4o"));
    CHECK_FALSE(holds(gpt, "claude-x"));
    const auto other = asked(known, headers, {"claude-*"});
    CHECK(holds(other, "claude-x"));
    CHECK_FALSE(holds(other, "gpt-4o"));
    CHECK_FALSE(holds(other, "fast"));
  }
  // A key sees an alias if it may use either of the two names.
  for (const auto& headers : {header_list{}, claude_code}) {
    CHECK(holds(asked(known, headers, {"gpt-4o"}), "fast"));
    CHECK(holds(asked(known, headers, {"fast"}), "fast"));
    CHECK_FALSE(holds(asked(known, headers, {"fast"}), "gpt-4o\""));
  }
  CHECK(asked(known, {}, {"claude-*"}, endpoint::model, "gpt-4o") == "model_not_found");
  CHECK(asked(known, claude_code, {"claude-*"}, endpoint::model, "claude-router-66617374") ==
        "model_not_found");
}

}  // namespace llm_proxy
