// The whole service in this process, on a free port of 127.0.0.1.
#pragma once

#include "actors/service/proxy.hpp"
#include "config/settings.hpp"
#include "support/http_client.hpp"

#include <chrono>
#include <string>
#include <string_view>
#include <utility>

namespace llm_proxy::test {

inline constexpr std::string_view test_key = "test-key";

/// Settings for a service test: a known key, any free port, two threads, no waiting in mock mode.
inline settings test_settings() {
  settings values;
  values.internal_api_key = test_key;
  values.port = 0;
  values.threads = 2;
  values.mock_chunk_delay_ms = std::chrono::milliseconds{1};
  values.drain_timeout = std::chrono::seconds{2};
  return values;
}

inline settings mock_settings() {
  auto values = test_settings();
  values.llm_mode = llm_mode::mock;
  return values;
}

/// Settings for a service in front of `url`, which plays LiteLLM.
inline settings litellm_settings(std::string url) {
  auto values = test_settings();
  values.llm_mode = llm_mode::litellm;
  values.litellm_proxy_url = {std::move(url)};
  values.litellm_api_key = "upstream-key";
  return values;
}

/// Returns the body of a chat completion request with one user message.
inline std::string chat_body(std::string_view model, bool stream = false, std::string_view text = "Hello") {
  std::string body = R"({"model":")";
  body += model;
  body += R"(","messages":[{"role":"user","content":")";
  body += text;
  body += stream ? R"("}],"stream":true})" : R"("}]})";
  return body;
}

}  // namespace llm_proxy::test
