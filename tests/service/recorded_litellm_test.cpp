// Recorded answers of a real LiteLLM (tests/data/litellm/README.md names the version and the requests). They
// are replayed here, so that they are tested even where LiteLLM cannot be installed.
#include "support/catch.hpp"
#include "support/running_proxy.hpp"
#include "support/scripted_upstream.hpp"

#include <string>
#include <vector>

namespace llm_proxy::test {

TEST_CASE("recorded litellm: its errors reach the client with their meaning", "[service][recorded]") {
  scripted_upstream up{[](const upstream_request& req, upstream_reply& reply) {
    if (req.method == "POST") {
      reply.recorded("litellm/" + req.text("model") + ".txt");
    } else {
      reply.json(200, R"({"data":[]})");
    }
  }};
  proxy service{litellm_settings(up.url(""))};
  const std::vector<std::pair<std::string, int>> rows{{"up-400", 400}, {"up-401", 502}, {"up-403", 403},
                                                      {"up-404", 404}, {"up-408", 504}, {"up-422", 422},
                                                      {"up-429", 429}, {"up-500", 502}, {"up-503", 503}};
  for (const auto& [file, status] : rows) {
    INFO(file);
    const auto answer = request(service.port(), "POST", "/v1/chat/completions",
                                {{"x-internal-auth", std::string{test_key}}}, chat_body(file));
    CHECK(answer.status == status);
    CHECK(answer.body.find(R"({"error":)") == 0);
    CHECK_FALSE(answer.has("x-litellm-key-spend"));
  }
}

}  // namespace llm_proxy::test
