// The lines that LOG_LEVEL=DEBUG logs about a request, each with its id.
#include "support/keys_file.hpp"
#include "support/program.hpp"
#include "support/upstream_chat.hpp"

#include <algorithm>
#include <csignal>
#include <string>
#include <vector>

namespace llm_proxy::test {

namespace {

using namespace std::chrono_literals;

/// Returns the messages about that request, in their order.
std::vector<std::string> steps_of(const std::string& log, const std::string& id) {
  std::vector<std::string> steps;
  const auto begin = R"("msg":"request )" + id + ": ";
  for (auto at = log.find(begin); at != std::string::npos; at = log.find(begin, at + 1)) {
    const auto from = at + begin.size();
    steps.push_back(log.substr(from, log.find("\"}", from) - from));
  }
  return steps;
}

std::string run_and_log(const std::string& level) {
  scripted_upstream up{[](const upstream_request& req, upstream_reply& reply) {
    if (!is_chat(req)) {
      reply.json(200, R"({"data":[]})", {{"connection", "close"}});
    } else if (req.text("model") == "gone") {
      reply.close();
    } else {
      reply.json(200, R"({"ok":true})");
    }
  }};
  keys_file file{{{"team-a", "CANARY-key"}}};
  child_process service{program, with({{"LLM_PROXY__LOG_LEVEL", level},
                                       {"LLM_PROXY__PORT", "0"},
                                       {"LLM_PROXY__THREADS", "1"},
                                       {"LLM_PROXY__MODEL_ALIASES", "short=long"},
                                       {"LLM_PROXY__LITELLM_PROXY_URL", up.url()},
                                       {"LLM_PROXY__LITELLM_API_KEY", "CANARY-upstream"},
                                       {"LLM_PROXY__INTERNAL_API_KEY", "CANARY-internal"},
                                       {"LLM_PROXY__INTERNAL_API_KEYS_FILE", file.path()}})};
  const auto port = port_of(service);
  REQUIRE(port != 0);
  // A fetch of the model lists asks four times. Until then it might take the connection that a chat has left,
  // or leave one to a chat.
  REQUIRE(up.wait_for_requests(4));
  const auto ask = [&](const std::string& id, const std::string& model) {
    return request(port, "POST", "/v1/chat/completions?q=CANARY-query",
                   {{"x-api-key", "CANARY-key"}, {"x-request-id", id}, {"x-custom", "CANARY-value"}},
                   chat_body(model, false, "CANARY-prompt"))
        .status;
  };
  CHECK(ask("first-request", "m") == 200);
  CHECK(ask("second-request", "short") == 200);
  CHECK(ask("third-request", "gone") == 502);
  service.signal(SIGTERM);
  CHECK(service.wait(long_patience) == 0);
  CHECK_FALSE(holds(service.out(), "CANARY"));
  return service.out();
}

}  // namespace

TEST_CASE("request steps: DEBUG logs a request's key, route, model, upstream, headers, connection and times",
          "[service][program][log]") {
  const auto log = run_and_log("DEBUG");
  INFO(log);
  const auto first = steps_of(log, "first-request");
  REQUIRE(first.size() == 5);
  CHECK(first[0] == "POST /v1/chat/completions, key team-a");
  CHECK(first[1] == "model m");
  CHECK(holds(first[2], "POST to upstream 127.0.0.1:"));
  CHECK(holds(first[2], ", with the headers host "));
  CHECK(holds(first[2], " authorization "));
  CHECK(holds(first[2], " x-request-id "));
  CHECK_FALSE(holds(first[2], "x-custom"));
  CHECK(holds(first[3], "status 200 after "));
  CHECK(holds(first[3], ", on a new connection, made in "));
  CHECK(holds(first[4], "first byte of the answer after "));
  const auto second = steps_of(log, "second-request");
  REQUIRE(second.size() == 5);
  CHECK(second[1] == "model short, which is long");
  CHECK(holds(second[3], ", on a kept connection"));
  const auto third = steps_of(log, "third-request");
  REQUIRE(third.size() == 4);
  CHECK(holds(third[3], "no answer: upstream_disconnected ("));
  // The reason for its end is in the line that is logged for every request.
  CHECK(holds(log, R"("id":"third-request")"));
}

TEST_CASE("request steps: INFO logs none of them, TRACE also the phases", "[service][program][log]") {
  CHECK(steps_of(run_and_log("INFO"), "first-request").empty());
  const auto trace = steps_of(run_and_log("TRACE"), "first-request");
  CHECK(trace.size() > 5);
  CHECK(std::find(trace.begin(), trace.end(), "its upstream is asked") != trace.end());
}

}  // namespace llm_proxy::test
