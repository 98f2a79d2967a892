#include "http/wire/chunk_reader.hpp"

#include "support/catch.hpp"

#include <string>
#include <vector>

namespace llm_proxy {

namespace {

struct outcome {
  std::string payload;
  std::string left;
  bool done = false;
  bool broken = false;
};

/// Feeds a reader as from a socket: bytes that it does not consume are given to it again, followed by more.
outcome read_in_portions(std::string_view bytes, std::size_t portion) {
  chunk_reader reader;
  outcome result;
  while (!bytes.empty() && !reader.done() && !reader.broken()) {
    result.left += bytes.substr(0, portion);
    bytes.remove_prefix(std::min(portion, bytes.size()));
    result.left.erase(0, reader.read(result.left, result.payload));
  }
  result.left += bytes;
  result.done = reader.done();
  result.broken = reader.broken();
  return result;
}

}  // namespace

TEST_CASE("chunk reader: it reads the same at every split", "[unit][chunk_reader]") {
  const std::string bytes = "5\r\nhello\r\n01;a=\"b;c\" ; d\r\n \r\naA \t\r\n" + std::string(0xaa, 'x') +
                            "\r\n0;last\r\nt: v\r\nu:\r\n\r\nnext";
  for (std::size_t portion = 1; portion <= bytes.size(); ++portion) {
    const auto result = read_in_portions(bytes, portion);
    INFO(portion);
    REQUIRE(result.done);
    CHECK(result.payload == "hello " + std::string(0xaa, 'x'));
    CHECK(result.left == "next");
  }
}

TEST_CASE("chunk reader: without the last chunk and its blank line it is not done", "[unit][chunk_reader]") {
  const std::string bytes = "1\r\na\r\n0\r\nt: v\r\n\r\n";
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    const auto result = read_in_portions(std::string_view{bytes}.substr(0, size), 100);
    CHECK_FALSE(result.done);
    CHECK_FALSE(result.broken);
  }
}

TEST_CASE("chunk reader: bytes that are not plainly chunked are broken", "[unit][chunk_reader]") {
  for (const std::string& bytes : std::vector<std::string>{"\r\n",
                                                           "g\r\n",
                                                           "-1\r\na",
                                                           "+1\r\na",
                                                           " 1\r\na",
                                                           "0x1\r\na\r\n",
                                                           "1h\r\n",
                                                           "1 1\r\na",
                                                           "1,1\r\na",
                                                           ";a\r\n",
                                                           "1\na\r\n",
                                                           "1\r\nab\r\n",
                                                           "1\r\na\n0\r\n\r\n",
                                                           "1\r\na\rb",
                                                           "1\r\r\na",
                                                           "1;a\rb\r\na",
                                                           "1;a\x01\r\na",
                                                           "1000000000000000\r\n",
                                                           "fffffffffffffffff\r\n",
                                                           "0000000000000001\r\na",
                                                           "0\r\nbad\r\n",
                                                           "0\r\n: v\r\n",
                                                           "0\r\n v\r\n",
                                                           "0\r\na : b\r\n",
                                                           "0\r\na: \x7f\r\n",
                                                           "0\r\na: b\n\r\n"}) {
    INFO(bytes);
    for (std::size_t portion : {1U, 1000U}) CHECK(read_in_portions(bytes, portion).broken);
  }
}

TEST_CASE("chunk reader: a line that no further byte can make valid is broken before its end",
          "[unit][chunk_reader]") {
  for (const std::string& bytes :
       std::vector<std::string>{"g", "z", "-", " ", ";", "0x", "1 1", "1,", "1;a\x01", "1\ra",
                                "0123456789abcdef", "fffffffffffffffff", "1\r\na\rb", "0\r\na: \x7f"}) {
    INFO(bytes);
    for (std::size_t portion : {1U, 1000U}) CHECK(read_in_portions(bytes, portion).broken);
  }
  for (const std::string& bytes : std::vector<std::string>{"0", "fFfFfFfFfFfFfFf", "1 ", "1 \t", "1\r",
                                                           "1 \t;", "1;\t", "0\r\na", "0\r\na:\r"}) {
    INFO(bytes);
    for (std::size_t portion : {1U, 1000U}) CHECK_FALSE(read_in_portions(bytes, portion).broken);
  }
}

TEST_CASE("chunk reader: it returns how much of a chunk is still to come", "[unit][chunk_reader]") {
  chunk_reader reader;
  std::string payload;
  CHECK(reader.left_of_chunk() == 0);
  reader.read("ffffffff\r\n", payload);
  CHECK(reader.left_of_chunk() == 0xffffffff);
  reader.read("abc", payload);
  CHECK(reader.left_of_chunk() == 0xffffffff - 3);
  chunk_reader last;
  last.read("1\r\na\r\n0\r\n", payload);
  CHECK(last.left_of_chunk() == 0);
}

TEST_CASE("chunk reader: endless extensions and trailers are broken", "[unit][chunk_reader]") {
  const std::string endless(40'000, 'a');
  for (const auto& bytes :
       {"1;" + endless, "1;" + endless + "\r\n", "0\r\nt: " + endless, endless, std::string(40'000, '0')}) {
    CHECK(read_in_portions(bytes, 1000).broken);
  }
  std::string extensions;
  std::string trailers = "0\r\n";
  for (int i = 0; i < 5'000; ++i) {
    extensions += "1;extension\r\na\r\n";
    trailers += "t: v56789\r\n";
  }
  CHECK(read_in_portions(extensions, 1000).broken);
  CHECK(read_in_portions(trailers, 1000).broken);
}

}  // namespace llm_proxy
