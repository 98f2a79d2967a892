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

TEST_CASE("model rules: a query that names a model is found", "[unit][models]") {
  CHECK_FALSE(has_model_in_query("/v1/chat/completions"));
  CHECK_FALSE(has_model_in_query("/v1/model?x=model&models=1"));
  for (const char* target : {"/x?model=b", "/x?a=1&model=b", "/x?m%6Fdel=b", "/x?model", "/x?a;MODEL=b"}) {
    INFO(target);
    CHECK(has_model_in_query(target));
  }
}

}  // namespace llm_proxy
