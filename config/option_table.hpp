// The table of options: one row per member of `settings`, and how rows and values are shown. Only for the
// files of config/.
#pragma once

#include "config/settings.hpp"

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace llm_proxy {

/// How the text of a value is parsed.
enum class kind : std::uint8_t {
  choice,
  text,
  key,
  urls,
  address,
  file,
  count,
  bytes,
  names,
  paths,
  aliases,
  origins,
  flag,
  seconds,
  millis,
  url,
  ratio,
};

using member = std::variant<llm_mode settings::*, log_level settings::*, error_style settings::*,
                            caller_to_litellm settings::*, otel_sampler settings::*, double settings::*,
                            bool settings::*, std::vector<model_alias> settings::*, std::string settings::*,
                            std::uint16_t settings::*, std::size_t settings::*,
                            std::chrono::milliseconds settings::*, std::vector<std::string> settings::*>;

struct option {
  static constexpr unsigned secret = 1;
  static constexpr unsigned live = 2;  // may change while the service runs, on SIGHUP
  /// OpenTelemetry names this option, and platforms set it for all their services: it has no prefix, and an
  /// invalid value is ignored.
  static constexpr unsigned standard = 4;

  std::string_view name;
  member place;
  kind type;
  std::uint64_t least;  // for a number or the length of a text; 0 for lists and choices
  std::uint64_t most;   // durations: in milliseconds
  unsigned traits;
  std::string_view group;
  std::string_view sentence;

  bool is_secret() const { return (traits & secret) != 0; }
  bool is_live() const { return (traits & live) != 0; }
  bool is_standard() const { return (traits & standard) != 0; }
};

inline constexpr std::string_view env_prefix = "LLM_PROXY__";
inline constexpr std::uint64_t gib = std::uint64_t{1} << 30;

inline constexpr std::array<std::pair<std::string_view, llm_mode>, 2> mode_names{{
    {"litellm", llm_mode::litellm},
    {"mock", llm_mode::mock},
}};
inline constexpr std::array<std::pair<std::string_view, error_style>, 2> style_names{{
    {"normalized", error_style::normalized},
    {"raw", error_style::raw},
}};
inline constexpr std::array<std::pair<std::string_view, caller_to_litellm>, 3> caller_names{{
    {"off", caller_to_litellm::off},
    {"end_user", caller_to_litellm::end_user},
    {"tag", caller_to_litellm::tag},
}};
inline constexpr std::array<std::pair<std::string_view, otel_sampler>, 6> sampler_names{{
    {"always_on", otel_sampler::always_on},
    {"always_off", otel_sampler::always_off},
    {"traceidratio", otel_sampler::traceidratio},
    {"parentbased_always_on", otel_sampler::parentbased_always_on},
    {"parentbased_always_off", otel_sampler::parentbased_always_off},
    {"parentbased_traceidratio", otel_sampler::parentbased_traceidratio},
}};
inline constexpr std::array<std::pair<std::string_view, bool>, 8> flag_names{{
    {"true", true},
    {"false", false},
    {"on", true},
    {"off", false},
    {"yes", true},
    {"no", false},
    {"1", true},
    {"0", false},
}};
inline constexpr std::array<std::pair<std::string_view, log_level>, 7> level_names{{
    {"TRACE", log_level::trace},
    {"DEBUG", log_level::debug},
    {"INFO", log_level::info},
    {"WARNING", log_level::warning},
    {"WARN", log_level::warning},
    {"ERROR", log_level::error},
    {"CRITICAL", log_level::critical},
}};

std::span<const option> options();
std::string env_name(const option& o);
/// Returns which values an option takes, for the sentence "… takes <this>" and for the table's column.
std::string accepted(const option& o);
/// Returns a value as it is written in the environment.
std::string show(const option& o, const settings& values);

}  // namespace llm_proxy
