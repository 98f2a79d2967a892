// An upstream that answers all paths in the same way, and the last request that it got.
#pragma once

#include "support/catch.hpp"
#include "support/upstream_chat.hpp"

#include <openssl/evp.h>

#include <array>
#include <string>
#include <string_view>

namespace llm_proxy::test {

inline std::string sha256(std::string_view bytes) {
  std::array<unsigned char, 32> digest{};
  unsigned size = 0;
  EVP_Digest(bytes.data(), bytes.size(), digest.data(), &size, EVP_sha256(), nullptr);
  std::string hex;
  for (const auto byte : digest) {
    constexpr char digits[] = "0123456789abcdef";
    hex += {digits[byte >> 4], digits[byte & 15]};
  }
  return hex;
}

inline bool asks_for_models(const upstream_request& req) {
  return req.target == "/v1/models" || req.target == "/model/info";
}

/// Returns a script that gives this answer to all requests except those for the model list.
inline upstream_script always(int status, std::string body, std::string type = "application/json") {
  return [=](const upstream_request& req, upstream_reply& reply) {
    if (asks_for_models(req)) {
      reply.json(200, R"({"data":[]})");
      return;
    }
    reply.head(status, {{"content-type", type},
                        {"content-length", std::to_string(body.size())},
                        {"x-litellm-model-id", "1"}});
    reply.send(body);
  };
}

/// Returns the last request that upstream got, without those for the model list.
inline upstream_request last_of(const scripted_upstream& up) {
  auto all = up.requests();
  std::erase_if(all, asks_for_models);
  REQUIRE_FALSE(all.empty());
  return all.back();
}

}  // namespace llm_proxy::test
