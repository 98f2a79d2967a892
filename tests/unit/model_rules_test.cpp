#include "http/model_rules.hpp"

#include "support/catch.hpp"

namespace llm_proxy {

TEST_CASE("model rules: exact names and beginnings are allowed, nothing else", "[unit][models]") {
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

TEST_CASE("model rules: other places that name models are found", "[unit][models]") {
  const std::string plain =
      R"({"model":"a","messages":[{"fallbacks":1,"model":"x"}],"metadata":{"models":[]}})";
  CHECK(model_beside("/v1/chat/completions", plain).empty());
  CHECK(model_beside("/v1/chat/completions?x=model&models=1", plain).empty());
  CHECK(model_beside("/x", "").empty());
  for (const char* target : {"/x?model=b", "/x?a=1&model=b", "/x?m%6Fdel=b", "/x?model", "/x?a;MODEL=b"}) {
    INFO(target);
    CHECK(model_beside(target, plain) == "model");
  }
  for (const char* member : {"fallbacks", "context_window_fallbacks", "content_policy_fallbacks",
                             "router_settings_override", "model_list", "user_config", "models"}) {
    CHECK(model_beside("/x", R"({"model":"a",")" + std::string{member} + R"(":["b"]})") == member);
  }
  CHECK(model_beside("/x", R"({"model":"a","f\u0061llbacks":["b"]})") == "fallbacks");
}

}  // namespace llm_proxy
