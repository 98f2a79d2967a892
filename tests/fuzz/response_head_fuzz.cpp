// Checks that a response is read the same however it is split, and that no head is accepted which Beast's
// parser refuses or reads differently. The first byte of the input chooses the split.
#include "http/wire/head_parser.hpp"
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
  unsigned status = 0;
  std::string body;
  plain_fields fields;
  bool done = false;
  bool keep_alive = false;
  bool operator==(const result&) const = default;
};

/// Feeds a parser as a connection does: bytes that it leaves are given to it again, followed by more.
result read(std::string_view bytes, std::size_t piece) {
  result got;
  response_parser parser;
  std::optional<response_head> head;
  failure fault;
  std::string buffer;
  while (!bytes.empty() && fault.code == errc::none && !parser.done()) {
    buffer += bytes.substr(0, piece);
    bytes.remove_prefix(std::min(piece, bytes.size()));
    const auto used = parser.read(buffer, head, got.body, fault);
    if (used > buffer.size()) std::abort();
    buffer.erase(0, used);
  }
  if (fault.code == errc::none && !parser.done()) parser.read_end(fault);
  // How much of a broken message is read before the fault is found depends on the split.
  if (fault.code != errc::none) return {fault.code, 0, {}, {}, false, false};
  got.done = parser.done();
  got.keep_alive = parser.keep_alive();
  got.status = head.value().status;
  got.fields = plain(head->headers);
  return got;
}

void compare_heads(std::string_view text) {
  response_head head;
  message_framing framing;
  if (parse_response_head(text, head, framing).code != errc::none) return;
  const auto other = beast_head<false>::read(text);
  if (!other || other->status != head.status || other->fields != plain(head.headers)) std::abort();
  // Beast reports no framing for a status that never has a body.
  if (head.status / 100 == 1 || head.status == 204 || head.status == 304) return;
  if (other->framing.chunked != framing.chunked) std::abort();
  if (!framing.chunked && other->framing.content_length != framing.content_length) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  const std::string_view bytes{reinterpret_cast<const char*>(data) + 1, size - 1};
  const auto whole = read(bytes, bytes.size());
  const auto split = read(bytes, data[0] % 32U + 1);
  if (!(whole == split)) std::abort();
  const auto end = bytes.find("\r\n\r\n");
  if (end != std::string_view::npos) compare_heads(bytes.substr(0, end + 4));
  return 0;
}
