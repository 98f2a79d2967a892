// Checks that a splice changes only the bytes it replaces, and that replacing the model of a chat request
// makes the same request with another model.
#include "http/json/json_scanner.hpp"
#include "http/json/json_text.hpp"
#include "http/request/request_gate.hpp"

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <variant>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace llm_proxy;
  if (size < 1) return 0;
  // The input is the size of the new name, the name, and the body.
  const std::string_view bytes{reinterpret_cast<const char*>(data) + 1, size - 1};
  const auto name_size = std::min<std::size_t>(data[0] % 16U, bytes.size());
  const auto quoted = json_quoted(bytes.substr(0, name_size));
  const auto body = bytes.substr(name_size);
  const auto checked = check_request(chat_rules, body);
  const auto* request = std::get_if<gated_request>(&checked);
  if (request == nullptr || request->model_at.empty()) return 0;
  const auto [begin, end] = request->model_at;
  std::string spliced{body};
  splice(spliced, begin, end, quoted);
  const std::string_view whole{spliced};
  if (whole.substr(0, begin) != body.substr(0, begin)) std::abort();
  if (whole.substr(begin, quoted.size()) != quoted) std::abort();
  if (whole.substr(begin + quoted.size()) != body.substr(end)) std::abort();
  const auto again = check_request(chat_rules, spliced);
  const auto* other = std::get_if<gated_request>(&again);
  if (!is_valid_json(quoted)) return 0;  // the name was not UTF-8
  if (other == nullptr || other->stream != request->stream) std::abort();
  if (json_quoted(other->model) != quoted) std::abort();
  return 0;
}
