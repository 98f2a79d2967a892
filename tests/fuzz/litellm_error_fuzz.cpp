// Gives error answers with arbitrary bodies to the decoder of LiteLLM's errors. Checks that the client always
// gets a JSON object: either the upstream's own bytes, or a body that the proxy wrote.
#include "http/answer/litellm_error.hpp"
#include "http/dialect/embedded_error.hpp"
#include "http/json/json_scanner.hpp"

#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace llm_proxy;
  if (size < 2) return 0;
  response_head head;
  head.status = 400 + data[0] % 200U;
  const std::string_view body{reinterpret_cast<const char*>(data) + 2, size - 2};
  const auto speaks = static_cast<dialect>(data[1] % 4U);
  const auto error = decode_error(head, body, true, error_wording::normalized, speaks);
  if (error.status < 400 || error.status > 599) std::abort();
  if (error.body.empty() ? !is_json_object(body) : !is_json_object(error.body)) std::abort();
  if (!error.body.empty() && !find_error(error.body).present) std::abort();
  worded_error_event(std::string{body}, error_wording::normalized, speaks, 0);
  return 0;
}
