// What can be wrong with a JSON text.
#pragma once

#include <cstdint>
#include <string_view>

namespace llm_proxy {

enum class json_fault : std::uint8_t {
  none,
  unexpected_byte,
  unexpected_end,
  trailing_data,
  bad_literal,
  bad_number,
  bad_escape,
  control_byte,
  bad_utf8,
  too_deep,
};

/// Returns what is wrong, as a part of a sentence for people.
std::string_view describe(json_fault fault);

}  // namespace llm_proxy
