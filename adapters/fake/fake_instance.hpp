#pragma once

#include <string>
#include <string_view>

namespace llm_proxy {

/// Returns a JSON value that fits a JSON schema, for mock mode's structured outputs: `text` for strings, 0
/// for numbers, the first value of an enum, every property of an object.
std::string fake_instance(std::string_view schema, std::string_view text);

}  // namespace llm_proxy
