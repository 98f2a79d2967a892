// What is wrong with the fields of a JSON request, in the shape in which FastAPI says it: the original
// service's clients read it from the member `detail` of a 422.
#pragma once

#include "http/request/body_rules.hpp"

#include <span>
#include <string>

namespace llm_proxy {

/// A field that is missing, or of a kind that its rule does not allow.
struct field_fault {
  std::string param;  ///< as in OpenAI's errors: `temperature`, `messages[3].role`; empty for the body itself
  json_kinds allowed = 0;
  bool missing = false;
};

/// FastAPI's list as JSON text: `[{"loc":["body","messages",3,"role"],"msg":"Field required",
/// "type":"missing"}]`. `msg` and `type` are pydantic's
/// (https://docs.pydantic.dev/latest/errors/validation_errors/); where a field may be of several kinds,
/// `type` is that of the first of them.
std::string validation_detail(std::span<const field_fault> faults);

}  // namespace llm_proxy
