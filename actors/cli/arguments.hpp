// Parses the arguments that follow a command's name.
#pragma once

#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace llm_proxy {

struct parsed_arguments {
  std::map<std::string, std::string, std::less<>> options;  ///< by their long names, including the dashes
  std::vector<std::string> words;
  std::string fault;  ///< what is wrong with them; empty if nothing is

  std::optional<std::string> option(std::string_view name) const;
};

/// An option that takes a value: `--name value`, `--name=value` or `-n value`.
struct option_name {
  std::string_view name;
  std::string_view letter = {};  ///< `-n`; empty if there is none
};

/// Returns the parsed arguments. It is a fault if an option is unknown, lacks its value or is given twice.
/// After `--` all arguments are words.
parsed_arguments parse_arguments(std::span<const char* const> arguments, std::span<const option_name> known);

}  // namespace llm_proxy
