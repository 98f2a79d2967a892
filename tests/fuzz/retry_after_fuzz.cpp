// Checks that the client gets at most one retry-after header, without control bytes, whatever upstream says
// about when to try again. The input is the value of upstream's header, a line feed and the body.
#include "http/answer/litellm_error.hpp"

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace llm_proxy;
  const std::string_view text{reinterpret_cast<const char*>(data), size};
  const auto line = text.substr(0, text.find('\n'));
  // The response parser refuses a head with control bytes, so such a value never gets here.
  const auto is_control = [](char c) {
    return (static_cast<unsigned char>(c) < 0x20 && c != '\t') || c == 0x7f;
  };
  if (std::any_of(line.begin(), line.end(), is_control)) return 0;
  response_head head;
  head.status = size % 2 == 0 ? 429 : 503;
  if (!line.empty()) head.headers.add("retry-after", line);
  const auto error = decode_error(head, text.substr(std::min(line.size() + 1, size)), true,
                                  error_wording::normalized, dialect::chat);
  const auto& advised = error.advice.retry_after;
  if (std::any_of(advised.begin(), advised.end(), is_control)) std::abort();
  header_list headers;
  add_advice(headers, error.advice);
  if (headers.count("retry-after") > 1) std::abort();
  return 0;
}
