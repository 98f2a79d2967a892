#include "http/wire/message.hpp"

#include "http/wire/request_id.hpp"
#include "support/catch.hpp"

#include <set>
#include <string>

namespace llm_proxy {

TEST_CASE("header list: names are found in any letter case, values in order", "[unit][message]") {
  header_list list;
  CHECK(list.empty());
  list.add("Content-Type", "a");
  list.add("x", "");
  list.add("CONTENT-TYPE", "b");
  CHECK(list.size() == 3);
  CHECK(list.find("content-type") == "a");
  CHECK(list.find("X") == "");
  CHECK_FALSE(list.find("y"));
  CHECK(list.count("Content-type") == 2);
  list.remove("content-TYPE");
  CHECK(list.size() == 1);
  CHECK_FALSE(list.find("content-type"));
  list.add("content-type", "c");
  CHECK(list.find("content-type") == "c");
}

TEST_CASE("header list: fields of a held text and added ones are one list", "[unit][message]") {
  header_list list;
  const auto text = list.hold_text("Host: x\r\nA:\r\n");
  const std::string_view held{text.data(), text.size()};
  list.mark(held.substr(0, 4), held.substr(6, 1));
  list.mark(held.substr(9, 1), held.substr(11, 0));
  for (int i = 0; i < 100; ++i) list.add("added-" + std::to_string(i), std::string(20, 'a'));
  CHECK(list.size() == 102);
  CHECK(list.find("host") == "x");
  CHECK(list.find("a") == "");
  CHECK(list.find("added-99") == std::string(20, 'a'));
  list.remove("host");
  CHECK_FALSE(list.find("host"));
  CHECK(list.find("a") == "");
}

TEST_CASE("message: media types are compared without case and parameters", "[unit][message]") {
  CHECK(media_type(" Application/JSON ; charset=utf-8") == "Application/JSON");
  for (const auto* json : {"application/json", "APPLICATION/JSON", "application/problem+json"}) {
    CHECK(is_json_media(json));
  }
  for (const auto* other : {"", "+json", "json", "text/plain", "application/jsonl", "application/json5"}) {
    INFO(other);
    CHECK_FALSE(is_json_media(other));
  }
}

TEST_CASE("message: a path is the target without its query", "[unit][message]") {
  request_head head;
  head.target = "/a/b?c?d";
  CHECK(head.path() == "/a/b");
  head.target = "?";
  CHECK(head.path().empty());
}

TEST_CASE("message: every status has a phrase, even an unknown one", "[unit][message]") {
  CHECK(reason_phrase(200) == "OK");
  CHECK(reason_phrase(404) == "Not Found");
  CHECK(reason_phrase(422) == "Unprocessable Entity");
  CHECK_FALSE(reason_phrase(529).empty());
  CHECK(reason_phrase(477) == "Unknown");
}

TEST_CASE("message: comparing and trimming touch ASCII only", "[unit][message]") {
  CHECK(iequals("aZ-1", "Az-1"));
  CHECK_FALSE(iequals("a", "ab"));
  CHECK_FALSE(iequals("\xc3\xa4", "\xc3\x84"));
  CHECK_FALSE(iequals("[", "{"));
  CHECK(istarts_with("X-Stainless-OS", "x-stainless-"));
  CHECK_FALSE(istarts_with("x-", "x-stainless-"));
  CHECK(trimmed(" \t a b \t") == "a b");
  CHECK(trimmed(" \t").empty());
  CHECK(is_token("GET"));
  CHECK_FALSE(is_token(""));
  CHECK_FALSE(is_token("a b"));
  CHECK_FALSE(is_token("a:b"));
}

TEST_CASE("request id: those we make differ and are sane, odd ones are not sane", "[unit][message]") {
  std::set<std::string> ids;
  for (int i = 0; i < 1000; ++i) ids.insert(make_request_id());
  CHECK(ids.size() == 1000);
  CHECK(ids.begin()->size() == 32);
  CHECK(is_sane_request_id(*ids.begin()));
  CHECK(is_sane_request_id(std::string(128, '~')));
  for (const std::string& odd :
       {std::string{}, std::string(129, 'a'), std::string{"a b"}, std::string{"a\"b"}, std::string{"a\\b"},
        std::string{"a'b"}, std::string{"\x7f"}, std::string{"\xc3\xa4"}}) {
    CHECK_FALSE(is_sane_request_id(odd));
  }
}

TEST_CASE("append_header: a field is one line", "[unit][message]") {
  std::string head = "HTTP/1.1 200 OK\r\n";
  append_header(head, "content-type", "text/plain");
  append_header(head, "x-empty", "");
  CHECK(head == "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\nx-empty: \r\n");
}

}  // namespace llm_proxy
