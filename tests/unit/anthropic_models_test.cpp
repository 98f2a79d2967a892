#include "http/dialect/anthropic_models.hpp"

#include "support/catch.hpp"

#include <string>
#include <vector>

namespace llm_proxy {

namespace {

std::vector<anthropic_model> three() {
  std::vector<anthropic_model> all;
  for (const std::string id : {"a/x", "b", "c"}) all.push_back({id, R"({"id":")" + id + "\"}"});
  return all;
}

std::string body(std::string_view target) {
  const auto said = anthropic_list_body(three(), target);
  const auto* fault = std::get_if<page_fault>(&said);
  return fault != nullptr ? "fault: " + fault->param : std::get<std::string>(said);
}

std::string page(const std::string& data, bool has_more, const std::string& first, const std::string& last) {
  return R"({"data":[)" + data + R"(],"has_more":)" + (has_more ? "true" : "false") + R"(,"first_id":)" +
         first + R"(,"last_id":)" + last + "}";
}

}  // namespace

TEST_CASE("anthropic models: LiteLLM's list is read as it is, and any other shape is refused",
          "[unit][models]") {
  const auto models = read_anthropic_models(
      R"({"data":[{"type":"model","id":"m","display_name":"M","created_at":"2024-01-01T00:00:00Z","more":[1]},{"type":"model"},7],"has_more":false})");
  REQUIRE(models);
  REQUIRE(models->size() == 1);
  CHECK(models->front().id == "m");
  CHECK(models->front().json ==
        R"({"type":"model","id":"m","display_name":"M","created_at":"2024-01-01T00:00:00Z","more":[1]})");
  CHECK(read_anthropic_models(R"({"data":[]})")->empty());
  for (const auto* other : {"", "{}", "[]", "null", "<html>", R"({"data":7})", R"({"data":[)",
                            R"({"object":"list","data":[{"id":"m","object":"model"}]})"}) {
    INFO(other);
    CHECK_FALSE(read_anthropic_models(other));
  }
}

TEST_CASE("anthropic models: an entry is made from OpenAI's list", "[unit][models]") {
  model_entry model;
  model.id = "m\"1";
  model.name = "Name";
  model.created = 1700000000;
  CHECK(
      make_anthropic_model(model).json ==
      R"({"type":"model","id":"m\"1","display_name":"Name","created_at":"2023-11-14T22:13:20Z","max_input_tokens":null,"max_tokens":null})");
  model.max_input_tokens = 100;
  model.max_output_tokens = 20;
  CHECK(make_anthropic_model(model).json.ends_with(R"(,"max_input_tokens":100,"max_tokens":20})"));
  model.name.clear();
  CHECK(make_anthropic_model(model).json.find(R"("display_name":"m\"1")") != std::string::npos);
}

TEST_CASE("anthropic models: Claude Code gets an entry under its own id, with the model's as source",
          "[unit][models]") {
  model_entry model;
  model.id = model.name = "gpt-4o";
  model.stands_for = "x";
  const auto entry = make_claude_code_model(model);
  CHECK(entry.id == "claude-router-6770742d346f");
  CHECK(entry.stands_for == "x");
  CHECK(entry.json.starts_with(
      R"({"type":"model","id":"claude-router-6770742d346f","source_model":"gpt-4o","display_name":"gpt-4o",)"));
}

TEST_CASE("anthropic models: a page holds what was asked for, and says whether there is more",
          "[unit][models]") {
  const std::string a = R"({"id":"a/x"})", b = R"({"id":"b"})", c = R"({"id":"c"})";
  const auto all = page(a + "," + b + "," + c, false, "\"a/x\"", "\"c\"");
  CHECK(body("/v1/models") == all);
  CHECK(body("/v1/models?beta=true") == all);
  CHECK(body("/v1/models?limit=1000") == all);
  CHECK(body("/v1/models?limit=3") == all);
  CHECK(body("/v1/models?limit=2") == page(a + "," + b, true, "\"a/x\"", "\"b\""));
  CHECK(body("/v1/models?limit=2&after_id=b") == page(c, false, "\"c\"", "\"c\""));
  CHECK(body("/v1/models?limit=1&after_id=a%2Fx") == page(b, true, "\"b\"", "\"b\""));
  CHECK(body("/v1/models?after_id=c") == page("", false, "null", "null"));
  CHECK(body("/v1/models?before_id=c") == page(a + "," + b, false, "\"a/x\"", "\"b\""));
  CHECK(body("/v1/models?before_id=c&limit=1") == page(b, true, "\"b\"", "\"b\""));
  CHECK(body("/v1/models?before_id=b&after_id=c") == page("", false, "null", "null"));
  for (const std::string bad : {"0", "1001", "-1", "x", "", "1.5"})
    CHECK(body("/v1/models?limit=" + bad) == "fault: limit");
  CHECK(body("/v1/models?after_id=z") == "fault: after_id");
  CHECK(body("/v1/models?before_id=z") == "fault: before_id");
}

}  // namespace llm_proxy
