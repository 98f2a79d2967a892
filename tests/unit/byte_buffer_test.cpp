#include "http/loop/byte_buffer.hpp"

#include "support/catch.hpp"

#include <cstring>
#include <string>

using llm_proxy::byte_buffer;

namespace {

void fill(byte_buffer& buffer, const std::string& text) {
  std::memcpy(buffer.prepare(text.size()), text.data(), text.size());
  buffer.commit(text.size());
}

}  // namespace

TEST_CASE("byte_buffer: consuming bytes during a read does not move the memory prepared for that read",
          "[byte_buffer]") {
  byte_buffer buffer;
  fill(buffer, "first");
  char* room = buffer.prepare(6);
  buffer.consume(5);
  buffer.shrink(0);
  std::memcpy(room, "second", 6);
  buffer.commit(6);
  CHECK(buffer.view() == "second");
}

TEST_CASE("byte_buffer: keeps unconsumed bytes when it grows and when it moves them to its front",
          "[byte_buffer]") {
  byte_buffer buffer;
  fill(buffer, "abcdef");
  buffer.consume(4);
  fill(buffer, std::string(100, 'x'));
  CHECK(buffer.view() == "ef" + std::string(100, 'x'));
  buffer.consume(101);
  fill(buffer, "yz");
  CHECK(buffer.view() == "xyz");
}

TEST_CASE("byte_buffer: frees its memory only if it is empty and larger than the size to keep",
          "[byte_buffer]") {
  byte_buffer buffer;
  fill(buffer, std::string(100, 'x'));
  buffer.shrink(10);
  CHECK(buffer.size() == 100);
  buffer.consume(100);
  buffer.shrink(200);
  CHECK(buffer.room() >= 100);
  buffer.shrink(10);
  CHECK(buffer.room() == 0);
}
