// Checks that a request's head and body are read the same however they are split, and that no head is
// accepted which Beast's parser refuses or reads differently. The first byte of the input chooses the split.
#include "http/wire/message_parser.hpp"
#include "support/beast_head.hpp"

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

namespace {

using namespace llm_proxy;

struct result {
  errc code = errc::none;
  std::string method;
  std::string target;
  std::string body;
  std::size_t fields = 0;
  bool done = false;
  bool operator==(const result&) const = default;
};

void compare(const request_head& head, std::string_view text) {
  while (text.starts_with("\r\n")) text.remove_prefix(2);
  const auto other = beast_head<true>::read(text);
  if (!other || other->method != head.method || other->fields != plain(head.headers)) std::abort();
  // Our parser cuts an absolute target to its path.
  if (!other->target.ends_with(head.target) && head.target != "/" && !head.target.starts_with("/?"))
    std::abort();
  if (other->framing.chunked != head.chunked || other->framing.content_length != head.content_length)
    std::abort();
}

/// Feeds a parser as a connection does: bytes that it leaves are given to it again, followed by more.
result read(std::string_view bytes, std::size_t piece) {
  result got;
  request_parser parser;
  failure fault;
  bool have_head = false;
  std::string buffer;
  std::size_t at = 0;
  while (at < bytes.size() && fault.code == errc::none && !got.done) {
    const auto more = std::min(piece, bytes.size() - at);
    buffer.append(bytes.substr(at, more));
    at += more;
    for (;;) {
      std::size_t used = 0;
      if (!have_head) {
        used = parser.read_head(buffer, fault);
        if (used > 0 && fault.code == errc::none) {
          const auto head = parser.take_head();
          compare(head, std::string_view{buffer}.substr(0, used));
          have_head = true;
          got.method = head.method;
          got.target = head.target;
          for ([[maybe_unused]] const auto field : head.headers) ++got.fields;
          if (head.content_length && head.chunked) std::abort();  // never both (RFC 9112 §6.3)
          if (!head.has_body()) got.done = true;
        }
      } else if (!parser.done()) {
        used = parser.read_body(buffer, got.body, fault);
        got.done = parser.done();
      }
      if (used > buffer.size()) std::abort();
      buffer.erase(0, used);
      if (used == 0 || fault.code != errc::none || got.done || buffer.empty()) break;
    }
  }
  got.code = fault.code;
  // How much of a broken message is read before the fault is found depends on the split.
  if (got.code != errc::none) return {got.code, {}, {}, {}, 0, false};
  return got;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  const std::string_view bytes{reinterpret_cast<const char*>(data) + 1, size - 1};
  const auto whole = read(bytes, bytes.size());
  const auto split = read(bytes, data[0] % 32U + 1);
  // A head with two faults may be refused for either of them.
  if ((whole.code == errc::none) != (split.code == errc::none)) std::abort();
  if (whole.code == errc::none && !(whole == split)) std::abort();
  return 0;
}
