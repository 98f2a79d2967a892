// The gate takes valid JSON only, and the range that it gives for the model is a JSON string of that text.
#include "http/chat_request.hpp"
#include "http/json_scanner.hpp"

#include <cstdint>
#include <cstdlib>
#include <string_view>
#include <variant>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace llm_proxy;
  const std::string_view body{reinterpret_cast<const char*>(data), size};
  const auto checked = check_chat_request(body);
  if (const auto* fault = std::get_if<request_fault>(&checked)) {
    if (fault->status != (is_valid_json(body) ? 422 : 400)) std::abort();
    return 0;
  }
  const auto& request = std::get<chat_request>(checked);
  if (!is_valid_json(body)) std::abort();
  if (json_unescaped(body.substr(request.model_begin, request.model_end - request.model_begin)) !=
      request.model)
    std::abort();
  const auto spliced = splice(body, request.model_begin, request.model_end, json_quoted("other"));
  const auto again = check_chat_request(spliced);
  if (!std::holds_alternative<chat_request>(again) || std::get<chat_request>(again).model != "other")
    std::abort();
  return 0;
}
