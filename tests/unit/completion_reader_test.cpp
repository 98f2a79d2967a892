#include "http/dialect/completion_reader.hpp"

#include "support/catch.hpp"

#include <string>
#include <string_view>

using namespace llm_proxy;
using namespace std::string_literals;

TEST_CASE("completion reader: reads usage", "[completion_reader]") {
  const auto usage = read_usage(
      R"({"choices":[],"usage":{"prompt_tokens":9,"completion_tokens":12,"total_tokens":21,"prompt_tokens_details":{"cached_tokens":1}}})");
  REQUIRE(usage);
  CHECK(usage->prompt_tokens == 9);
  CHECK(usage->completion_tokens == 12);
  CHECK_FALSE(read_usage(R"({"usage":null})"));
  CHECK_FALSE(read_usage(R"({"usage":{"prompt_tokens":9)"));
  CHECK_FALSE(read_usage(""));
}
