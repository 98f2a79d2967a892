// Reads the value of one option.
#pragma once

#include "config/option_table.hpp"

#include <optional>
#include <string>
#include <string_view>

namespace llm_proxy {

/// What is wrong with a value, as the end of a sentence about its variable; nullopt if the value is valid.
using complaint = std::optional<std::string>;

/// Sets the option's member from its text. If there is a complaint, `values` stays unchanged. An empty value
/// changes nothing, but it is a fault if the option is a required key.
complaint assign(const option& o, std::string_view value, settings& values);

std::string_view trim(std::string_view text);
std::string lower(std::string_view text);
std::string upper(std::string_view text);

}  // namespace llm_proxy
