// Parses one option, for the tests of the settings.
#pragma once

#include "config/settings.hpp"
#include "support/catch.hpp"

#include <map>
#include <string>
#include <vector>

namespace llm_proxy::test {

using variables = std::map<std::string, std::string>;

inline parsed_settings parse_one(const std::string& name, const std::string& value) {
  // With another key than the default there is no warning about the default key.
  variables environment{{"LLM_PROXY__INTERNAL_API_KEY", "unit-test-key"}};
  environment["LLM_PROXY__" + name] = value;
  return parse_settings(environment);
}

inline settings accept(const std::string& name, const std::string& value) {
  const auto parsed = parse_one(name, value);
  INFO(name << "=" << value);
  for (const auto& fault : parsed.faults) UNSCOPED_INFO(fault);
  CHECK(parsed.faults.empty());
  CHECK(parsed.warnings.empty());
  return parsed.values;
}

/// Returns the fault that `value` must cause. There must be exactly one, and it must name the variable.
inline std::string refuse(const std::string& name, const std::string& value) {
  const auto parsed = parse_one(name, value);
  INFO(name << "=" << value);
  CHECK(parsed.faults.size() == 1);
  if (parsed.faults.empty()) return {};
  CHECK(parsed.faults[0].starts_with("LLM_PROXY__" + name));
  return parsed.faults[0];
}

inline bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace llm_proxy::test
