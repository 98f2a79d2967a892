#include "http/dialect/claude_code_models.hpp"

#include "http/wire/message.hpp"
#include "support/catch.hpp"

#include <string>

namespace llm_proxy {

TEST_CASE("claude code: it is recognised by user-agent or x-gateway-client", "[unit][claude_code]") {
  const auto is_one = [](std::string_view name, std::string_view value) {
    header_list headers;
    headers.add(name, value);
    return is_claude_code(headers);
  };
  CHECK(is_one("user-agent", "claude-cli/2.0.1 (external, cli)"));
  CHECK(is_one("User-Agent", "claude-code/2.1"));
  CHECK(is_one("x-gateway-client", "Claude-Code"));
  CHECK_FALSE(is_one("user-agent", "claude-cli"));
  CHECK_FALSE(is_one("user-agent", "Mozilla/5.0 claude-cli/2"));
  CHECK_FALSE(is_one("x-gateway-client", "claude-code-2"));
  CHECK_FALSE(is_claude_code({}));
}

TEST_CASE("claude code: a model that its picker would hide gets a made-up id, which can be read back",
          "[unit][claude_code]") {
  for (const std::string shown : {"claude-x", "my/Anthropic-y", "CLAUDE"})
    CHECK(claude_code_id(shown) == shown);
  CHECK(claude_code_id("gpt-4o") == "claude-router-6770742d346f");
  for (const std::string name : {"gpt-4o", "größe", "a/b", "x"}) {
    INFO(name);
    CHECK(name_behind_claude_code_id(claude_code_id(name)) == name);
    CHECK(name_behind_claude_code_id(claude_code_id(name) + "[1M]") == name);
  }
  for (const std::string other :
       {"claude-x", "gpt-4o", "", "claude-router-", "claude-router-677", "claude-router-zz"})
    CHECK(name_behind_claude_code_id(other).empty());
}

}  // namespace llm_proxy
