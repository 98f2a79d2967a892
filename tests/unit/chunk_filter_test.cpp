#include "http/dialect/chunk_filter.hpp"

#include "support/catch.hpp"

#include <string>

namespace llm_proxy {

namespace {

choice_set seen_choice_0() {
  choice_set seen;
  seen.add(0);
  return seen;
}

}  // namespace

TEST_CASE("chunk filter: a key that matters is seen at every place of an event of any size",
          "[unit][chunk_filter]") {
  const auto seen = seen_choice_0();
  for (const std::string key :
       {R"("error":{)", R"("usage":{)", R"("finish_reason":"s)", R"("index":1,)", R"(\u0065)"}) {
    for (std::size_t before = 0; before < 50; ++before) {
      for (std::size_t behind = 0; behind < 50; ++behind) {
        const auto data = "{" + std::string(before, 'x') + key + std::string(behind, 'x');
        if (may_matter(data, seen)) continue;
        CAPTURE(data);
        FAIL_CHECK("not seen");
      }
    }
  }
}

TEST_CASE("chunk filter: an event without such a key, or with null as its value, does not matter",
          "[unit][chunk_filter]") {
  const auto seen = seen_choice_0();
  for (std::size_t size = 0; size < 60; ++size) {
    const std::string text(size, 'x');
    CHECK_FALSE(may_matter("{" + text, seen));
    CHECK_FALSE(may_matter(
        R"({"id":")" + text + R"(","usage":null,"index":0,"error": null,"finish_reason":null,"user":1})",
        seen));
  }
  CHECK(may_matter(R"({"usage":null,"error":null,"finish_reason":"stop"})", seen));
}

TEST_CASE("chunk filter: an event with a choice not seen before, or that is not an object, matters",
          "[unit][chunk_filter]") {
  CHECK(may_matter("{}", {}));
  const auto seen = seen_choice_0();
  CHECK(may_matter("", seen));
  CHECK(may_matter("[DONE]", seen));
  CHECK(may_matter(R"({"index":2})", seen));
  CHECK_FALSE(may_matter(R"({"index":0})", seen));
  CHECK(may_matter(R"({"index":0.5})", seen));
}

}  // namespace llm_proxy
