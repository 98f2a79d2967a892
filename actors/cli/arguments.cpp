#include "actors/cli/arguments.hpp"

#include "config/log_safe.hpp"

#include <algorithm>

namespace llm_proxy {

std::optional<std::string> parsed_arguments::option(std::string_view name) const {
  const auto at = options.find(name);
  return at == options.end() ? std::nullopt : std::optional{at->second};
}

parsed_arguments parse_arguments(std::span<const char* const> arguments, std::span<const option_name> known) {
  parsed_arguments out;
  bool words_only = false;
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    const std::string_view text = arguments[i];
    if (words_only || text == "-" || !text.starts_with('-')) {
      out.words.emplace_back(text);
      continue;
    }
    if (text == "--") {
      words_only = true;
      continue;
    }
    const auto equals = text.starts_with("--") ? text.find('=') : std::string_view::npos;
    const auto name = text.substr(0, equals);
    const auto row = std::find_if(known.begin(), known.end(), [&](const option_name& each) {
      return name == each.name || (!each.letter.empty() && name == each.letter);
    });
    if (row == known.end()) {
      out.fault = "unknown argument \"" + log_safe(name) + '"';
      return out;
    }
    const bool follows = equals == std::string_view::npos;
    if (follows && i + 1 == arguments.size()) {
      out.fault = std::string{row->name} + " needs a value";
      return out;
    }
    const std::string value{follows ? std::string_view{arguments[++i]} : text.substr(equals + 1)};
    if (!out.options.emplace(row->name, value).second) {
      out.fault = std::string{row->name} + " is given twice";
      return out;
    }
  }
  return out;
}

}  // namespace llm_proxy
