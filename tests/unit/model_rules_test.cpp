#include "http/keys/model_rules.hpp"

#include "support/catch.hpp"

namespace llm_proxy {

TEST_CASE("model rules: exact names and prefixes are allowed, and nothing else", "[unit][models]") {
  const std::vector<std::string> some{"gpt-4o", "claude-*"};
  for (const char* good : {"gpt-4o", "claude-", "claude-opus", "gpt-4o,claude-x", "gpt-4o, claude-x"})
    CHECK(allows_model(some, good));
  for (const char* bad : {"", "gpt-4", "gpt-4o-mini", "GPT-4o", "claude", "xclaude-opus", "*",
                          "claude-x,gpt-4", "claude-x,", ",gpt-4o", "gpt-4o,,gpt-4o"})
    CHECK_FALSE(allows_model(some, bad));
  CHECK(allows_model({"*"}, ""));
  CHECK(allows_model({"*"}, "a,b"));
  CHECK_FALSE(allows_model({}, "a"));
}

TEST_CASE("model rules: a query that names a model is found", "[unit][models]") {
  CHECK(model_in_query("/v1/chat/completions").empty());
  CHECK(model_in_query("/v1/model?x=model&models=1").empty());
  for (const char* target : {"/x?model=b", "/x?a=1&model=b", "/x?m%6Fdel=b", "/x?model", "/x?a;MODEL=b"}) {
    INFO(target);
    CHECK(model_in_query(target) == "model");
  }
  CHECK(model_in_query("/v1/files?limit=1&Target_Model_Names=a") == "target_model_names");
}

TEST_CASE("model rules: an id that LiteLLM maps to another model is allowed exactly where that model is",
          "[unit][model_rules]") {
  const std::string gpt_4o = "claude-router-6770742d346f";
  const auto allows = [](const std::string& pattern, const std::string& model) {
    return allows_model({pattern}, model);
  };
  CHECK_FALSE(allows("claude-*", gpt_4o));
  CHECK_FALSE(allows("claude-router-*", gpt_4o));
  CHECK_FALSE(allows(gpt_4o, gpt_4o));
  CHECK_FALSE(allows("claude-*", gpt_4o + "[1m]"));
  CHECK_FALSE(allows("claude-*", gpt_4o + "[1M]"));
  CHECK_FALSE(allows("claude-*", "claude-x," + gpt_4o));
  CHECK_FALSE(allows("claude-*", "claude-router-6770742D346F"));
  CHECK(allows("gpt-4o", gpt_4o));
  CHECK(allows("gpt-*", gpt_4o + "[1m]"));
  CHECK(allows("*", gpt_4o));
  // Anything that is not such an id is an ordinary name.
  CHECK(allows("claude-*", "claude-router-xyz"));
  CHECK(allows("claude-*", "claude-router-677"));
  CHECK(allows("claude-*", "claude-router-"));
  CHECK(allows("claude-x", "claude-x[1m]"));
  CHECK_FALSE(allows("claude-x", "claude-y[1m]"));
}

}  // namespace llm_proxy
