#include "config/reload.hpp"

#include "support/catch.hpp"

using namespace llm_proxy;

TEST_CASE("reload: options that may change while the service runs are changed", "[unit][reload]") {
  const settings running;
  auto fresh = running;
  fresh.log_level = log_level::debug;
  fresh.max_concurrent_requests = 7;
  fresh.litellm_proxy_url = {"http://a:1", "http://b:2"};
  fresh.model_aliases = {{"fast", "gpt-4o-mini"}};
  const auto merged = merge_reloaded(running, fresh);
  CHECK(merged.values == fresh);
  CHECK(merged.changed ==
        std::vector<std::string>{"LLM_PROXY__LOG_LEVEL", "LLM_PROXY__MAX_CONCURRENT_REQUESTS",
                                 "LLM_PROXY__LITELLM_PROXY_URL", "LLM_PROXY__MODEL_ALIASES"});
  CHECK(merged.ignored.empty());
}

TEST_CASE("reload: options that may not change are named and keep their values", "[unit][reload]") {
  const settings running;
  auto fresh = running;
  fresh.port = 9;
  fresh.internal_api_key = "another";
  fresh.threads = 3;
  const auto merged = merge_reloaded(running, fresh);
  CHECK(merged.values == running);
  CHECK(merged.changed.empty());
  CHECK(merged.ignored ==
        std::vector<std::string>{"LLM_PROXY__INTERNAL_API_KEY", "LLM_PROXY__PORT", "LLM_PROXY__THREADS"});
}
