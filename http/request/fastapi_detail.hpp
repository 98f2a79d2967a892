// What is wrong with the fields of a JSON request, in FastAPI's format. The clients of the original service
// read it from the member `detail` of a 422.
#pragma once

#include "http/request/body_rules.hpp"

#include <span>
#include <string>

namespace llm_proxy {

/// A field that is missing, or whose kind its rule does not allow.
struct field_fault {
  std::string param;  ///< as in OpenAI's errors: `temperature`, `messages[3].role`; empty for the body itself
  json_kinds allowed = 0;
  bool missing = false;
};

/// Returns FastAPI's list as JSON text: `[{"loc":["body","messages",3,"role"],"msg":"Field required",
/// "type":"missing"}]`. `msg` and `type` are pydantic's
/// (https://docs.pydantic.dev/latest/errors/validation_errors/); if a field may have several kinds, `type` is
/// that of the first one.
std::string validation_detail(std::span<const field_fault> faults);

}  // namespace llm_proxy
