// A service with one adapter, and an upstream's simplest answer.
#pragma once

#include "support/upstream_chat.hpp"

#include <string>

namespace llm_proxy::test {

/// One thread, so that one adapter has all connections.
inline settings one_thread(const std::string& url) {
  auto values = litellm_settings(url);
  values.threads = 1;
  return values;
}

/// Answers every request with a small JSON object.
inline void ok(const upstream_request&, upstream_reply& reply) {
  reply.json(200, R"({"ok":true})");
}

}  // namespace llm_proxy::test
