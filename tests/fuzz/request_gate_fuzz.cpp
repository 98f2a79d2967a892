// Checks that the gate accepts only valid JSON, returns the same for a body in two pieces, and that the range
// it gives for the model is a JSON string with that name.
#include "http/json/json_scanner.hpp"
#include "http/request/request_gate.hpp"

#include <cstdint>
#include <cstdlib>
#include <numeric>
#include <string_view>
#include <variant>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace llm_proxy;
  const std::string_view body{reinterpret_cast<const char*>(data), size};
  const auto checked = check_request(chat_rules, body);
  // The sum of the bytes chooses where the body is divided.
  request_check in_pieces{chat_rules};
  in_pieces.feed(body.substr(0, std::accumulate(data, data + size, std::size_t{0}) % (size + 1)));
  const auto same = in_pieces.finish(body);
  if (same.index() != checked.index()) std::abort();
  if (const auto* fault = std::get_if<request_fault>(&checked)) {
    const auto& other = std::get<request_fault>(same);
    if (fault->message != other.message || fault->param != other.param) std::abort();
  } else if (std::get<gated_request>(same).model_at.begin !=
                 std::get<gated_request>(checked).model_at.begin ||
             std::get<gated_request>(same).model != std::get<gated_request>(checked).model) {
    std::abort();
  }
  if (const auto* fault = std::get_if<request_fault>(&checked)) {
    if (fault->status != (is_valid_json(body) ? 422 : 400)) std::abort();
    return 0;
  }
  auto request = std::get<gated_request>(checked);
  if (!is_valid_json(body)) std::abort();
  if (json_unescaped(body.substr(request.model_at.begin, request.model_at.end - request.model_at.begin)) !=
      request.model)
    std::abort();
  std::string spliced{body};
  splice(spliced, request.model_at.begin, request.model_at.end, json_quoted("other"));
  const auto again = check_request(chat_rules, spliced);
  if (!std::holds_alternative<gated_request>(again) || std::get<gated_request>(again).model != "other")
    std::abort();
  if (request.usage_text.empty()) return 0;
  const auto model = request.model;
  std::string asks{body};
  add_usage(asks, request);
  const auto asked = check_request(chat_rules, asks);
  if (!std::holds_alternative<gated_request>(asked) || !std::get<gated_request>(asked).include_usage)
    std::abort();
  if (json_unescaped(std::string_view{asks}.substr(request.model_at.begin,
                                                   request.model_at.end - request.model_at.begin)) != model)
    std::abort();
  return 0;
}
