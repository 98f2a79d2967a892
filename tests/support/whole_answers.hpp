// An upstream that answers every chat with the same status, headers and body.
#pragma once

#include "support/upstream_chat.hpp"

#include <string>
#include <utility>

namespace llm_proxy::test {

/// The answer that all chats get.
struct wanted {
  int status = 200;
  std::string body;
  header_list headers{{"content-type", "application/json"}};
};

inline upstream_script always(wanted answer) {
  return chats([answer = std::move(answer)](const auto&, upstream_reply& reply) {
    auto headers = answer.headers;
    headers.emplace_back("content-length", std::to_string(answer.body.size()));
    reply.head(answer.status, headers);
    reply.send(answer.body);
  });
}

}  // namespace llm_proxy::test
