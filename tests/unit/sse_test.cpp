#include "http/dialect/sse.hpp"

#include "support/catch.hpp"

#include <string>
#include <string_view>
#include <vector>

using namespace llm_proxy;
using namespace std::string_view_literals;

namespace {

using messages = std::vector<std::string>;

/// Returns each event as `event|data|id`.
messages decode(const std::vector<std::string_view>& pieces) {
  sse_decoder decoder;
  messages all;
  for (const auto piece : pieces) {
    const std::vector<char> copy{piece.begin(), piece.end()};
    for (const auto& message : decoder.feed({copy.data(), copy.size()})) {
      all.push_back(message.event + "|" + message.data + "|" + message.id);
    }
  }
  return all;
}

void check_at_every_split(std::string_view bytes, const messages& wanted) {
  CAPTURE(bytes);
  CHECK(decode({bytes}) == wanted);
  for (std::size_t i = 0; i <= bytes.size(); ++i) {
    CAPTURE(i);
    CHECK(decode({bytes.substr(0, i), bytes.substr(i)}) == wanted);
  }
  std::vector<std::string_view> single;
  for (std::size_t i = 0; i != bytes.size(); ++i) single.push_back(bytes.substr(i, 1));
  CHECK(decode(single) == wanted);
}

}  // namespace

TEST_CASE("sse: decodes as WHATWG HTML says, at every split", "[sse]") {
  check_at_every_split("data: a\n\ndata:b\n\ndata:  c\n\n", {"|a|", "|b|", "| c|"});
  check_at_every_split("data: a\r\n\r\ndata: b\r\n\r\n", {"|a|", "|b|"});
  check_at_every_split("data: a\r\rdata: b\r\r", {"|a|", "|b|"});
  check_at_every_split("data: a\n\rdata: b\r\n\ndata: c\r\n\r", {"|a|", "|b|", "|c|"});
  check_at_every_split("data: one\ndata\ndata:\ndata: two\n\n", {"|one\n\n\ntwo|"});
  check_at_every_split(
      "\xEF\xBB\xBF"
      "data: a\n\n",
      {"|a|"});
  check_at_every_split(
      "\xEF\xBB"
      "data: a\n\ndata: b\n\n",
      {"|b|"});
  check_at_every_split(
      "\xEF\xBB\xBF\xEF\xBB\xBF"
      "data: a\n\ndata: b\n\n",
      {"|b|"});
  check_at_every_split("data: \xEF\xBB\xBF\xC3\xA9\n\n", {"|\xEF\xBB\xBF\xC3\xA9|"});
}

TEST_CASE("sse: comments and unknown fields are ignored", "[sse]") {
  check_at_every_split(
      ": ping\n\n:\n\ndata: a\n: data: x\nfoo: y\nDATA: z\n data: q\ndatas: w\ndat: v\nfoo\n\n", {"|a|"});
}

TEST_CASE("sse: event and id are read, and an event without data is dropped", "[sse]") {
  check_at_every_split("event: ping\n\nevent: a\nevent: error\ndata: x\nid: 7\nretry: 5\n\ndata: y\n\n",
                       {"error|x|7", "|y|7"});
  check_at_every_split("id: 1\ndata: a\n\nid: 2\0\ndata: b\n\nid\ndata: c\n\n"sv, {"|a|1", "|b|1", "|c|"});
  check_at_every_split("data\n\ndata:\n\n", {"||", "||"});
}

TEST_CASE("sse: an event without its blank line is dropped", "[sse]") {
  check_at_every_split("data: a\n\ndata: b\n", {"|a|"});
  check_at_every_split("data: a\n\ndata: b", {"|a|"});
}

TEST_CASE("sse: the encoder's events decode to their data", "[sse]") {
  CHECK(sse_event("{}") == "data: {}\n\n");
  CHECK(sse_event("") == "data: \n\n");
  CHECK(sse_event("a\nb") == "data: a\ndata: b\n\n");
  check_at_every_split(sse_event("a\r\nb\rc\n") + sse_event(" d"), {"|a\nb\nc\n|", "| d|"});
}
