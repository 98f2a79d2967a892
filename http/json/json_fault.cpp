#include "http/json/json_fault.hpp"

namespace llm_proxy {

std::string_view describe(json_fault fault) {
  switch (fault) {
    case json_fault::none:
      return "no fault";
    case json_fault::unexpected_byte:
      return "unexpected character";
    case json_fault::unexpected_end:
      return "unexpected end";
    case json_fault::trailing_data:
      return "data after the JSON value";
    case json_fault::bad_literal:
      return "no such literal";
    case json_fault::bad_number:
      return "malformed number";
    case json_fault::bad_escape:
      return "malformed escape";
    case json_fault::control_byte:
      return "unescaped control character in a string";
    case json_fault::bad_utf8:
      return "invalid UTF-8";
    case json_fault::too_deep:
      return "nested too deeply";
  }
  return "";
}

}  // namespace llm_proxy
