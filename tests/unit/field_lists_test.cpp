#include "http/wire/field_lists.hpp"

#include "support/catch.hpp"

#include <string>
#include <vector>

namespace llm_proxy {

namespace {

header_list fields(std::string_view name, const std::vector<std::string>& values) {
  header_list all;
  all.add("x-other", "other");
  for (const auto& value : values) all.add(name, value);
  return all;
}

}  // namespace

TEST_CASE("field lists: the elements of one field and of several are one list", "[unit][field_lists]") {
  for (const auto& values :
       std::vector<std::vector<std::string>>{{"a,b,c"}, {" a ,\tb", "c"}, {"a", "b", "c"}, {"a", "b,c"}}) {
    std::string seen;
    CHECK_FALSE(any_list_element(fields("X-List", values), "x-list", [&](std::string_view element) {
      seen += element;
      return false;
    }));
    CHECK(seen == "abc");
    for (const std::string wanted : {"a", "b", "c"})
      CHECK(any_list_element(fields("X-List", values), "x-list",
                             [&](std::string_view element) { return element == wanted; }));
  }
  CHECK_FALSE(any_list_element(fields("x-list", {}), "x-list", [](std::string_view) { return true; }));
}

TEST_CASE("field lists: a body is encoded if any content-encoding names a coding, wherever it stands",
          "[unit][field_lists]") {
  for (const auto& values : std::vector<std::vector<std::string>>{{"gzip"},
                                                                  {"GZIP"},
                                                                  {"identity, gzip"},
                                                                  {"identity", "gzip"},
                                                                  {"", "br"},
                                                                  {",gzip"},
                                                                  {"unknown"}}) {
    CHECK(is_encoded(fields("Content-Encoding", values)));
  }
  for (const auto& values : std::vector<std::vector<std::string>>{
           {}, {""}, {"identity"}, {" Identity "}, {"identity", "identity,"}}) {
    CHECK_FALSE(is_encoded(fields("content-encoding", values)));
  }
}

}  // namespace llm_proxy
