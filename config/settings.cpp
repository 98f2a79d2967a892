#include "config/settings.hpp"

#include "config/log_safe.hpp"
#include "config/option_reader.hpp"
#include "config/option_table.hpp"
#include "config/otel_settings.hpp"

#include <algorithm>
#include <arpa/inet.h>
#include <array>
#include <numeric>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

namespace llm_proxy {
namespace {

std::string shown_default(const option& o) {
  return show(o, settings{});
}

/// Returns the value, in single quotes if a `.env` reader would read the bare value differently.
std::string as_env_value(const std::string& value) {
  if (value.find_first_of(" \t#'\"\\$`") == std::string::npos) return value;
  std::string out = "'";
  for (const char c : value) (c == '\'' || c == '\\') ? (out += '\\') += c : out += c;
  return out + "'";
}

std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = std::exchange(row[0], i);
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t replaced = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = std::exchange(row[j], std::min({replaced, row[j] + 1, row[j - 1] + 1}));
    }
  }
  return row.back();
}

std::string unknown_name_warning(std::string_view name) {
  const auto own = upper(name.substr(env_prefix.size(), 100));
  const auto nearest =
      std::min_element(options().begin(), options().end(), [&](const option& a, const option& b) {
        return edit_distance(own, a.name) < edit_distance(own, b.name);
      });
  return log_safe(name) + " is no known option and is ignored; did you mean " + env_name(*nearest) + "?";
}

void check_default_key(parsed_settings& parsed) {
  const settings& values = parsed.values;
  if (auto fault = refuse_default_key(values, values.host, "HOST " + values.host); !fault.empty())
    parsed.faults.push_back(std::move(fault));
  else if (default_key_counts(values) && values.llm_mode == llm_mode::litellm)
    parsed.warnings.push_back(std::string{env_prefix} +
                              "INTERNAL_API_KEY is the default that everybody knows; set a key of your own");
}

/// A value that is the default may have been written out, as print-config does, so it is no fault.
void check_queue(parsed_settings& parsed) {
  const settings& values = parsed.values;
  if (values.queue_size > 0 || values.queue_timeout == settings{}.queue_timeout) return;
  parsed.faults.push_back(std::string{env_prefix} + "QUEUE_TIMEOUT has no effect: " +
                          std::string{env_prefix} + "QUEUE_SIZE is 0, so no request waits");
}

}  // namespace

std::size_t settings::thread_count() const {
  return threads > 0 ? threads : std::max(1U, std::thread::hardware_concurrency());
}

bool internal_key_counts(const settings& values) {
  return values.internal_api_keys_file.empty() || values.internal_api_key != settings{}.internal_api_key;
}

bool default_key_counts(const settings& values) {
  return internal_key_counts(values) && values.internal_api_key == settings{}.internal_api_key;
}

std::string refuse_default_key(const settings& values, std::string_view address, std::string_view what) {
  if (!default_key_counts(values) || is_loopback(address)) return {};
  return std::string{env_prefix} + "INTERNAL_API_KEY is the default that everybody knows, and " +
         std::string{what} + " can be reached from other machines; set a key of your own";
}

bool is_loopback(std::string_view host) {
  const std::string name = lower(host);
  if (name == "localhost") return true;
  std::array<unsigned char, 16> address{};
  if (inet_pton(AF_INET, name.c_str(), address.data()) == 1) return address[0] == 127;
  if (inet_pton(AF_INET6, name.c_str(), address.data()) != 1) return false;
  constexpr std::array<unsigned char, 16> one{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1};
  constexpr std::array<unsigned char, 13> mapped{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 127};
  return address == one || std::equal(mapped.begin(), mapped.end(), address.begin());
}

/// Returns the name of the variable that wins over the one of the option; empty if there is none.
std::string preferred_name(const option& o) {
  constexpr std::string_view common = "OTEL_EXPORTER_OTLP_", own = "OTEL_EXPORTER_OTLP_TRACES_";
  if (!o.name.starts_with(common) || o.name.starts_with(own) || o.name.ends_with("_ENDPOINT")) return {};
  return std::string{own}.append(o.name.substr(common.size()));
}

parsed_settings parse_settings(const std::map<std::string, std::string>& environment) {
  parsed_settings parsed;
  for (const option& o : options()) {
    std::string name = env_name(o);
    auto found = environment.find(name);
    // Platforms that start services (Heroku, Cloud Run) set a plain PORT.
    if (o.name == "PORT" && (found == environment.end() || trim(found->second).empty()))
      found = environment.find(name = "PORT");
    if (const auto better = preferred_name(o); !better.empty()) {
      const auto at = environment.find(better);
      if (at != environment.end() && !trim(at->second).empty()) {
        found = at;
        name = better;
      }
    }
    if (found == environment.end()) continue;
    if (auto wrong = assign(o, found->second, parsed.values)) {
      const bool value_first = wrong->starts_with('"');
      auto& said = o.is_standard() ? parsed.warnings : parsed.faults;
      said.push_back(name + (value_first ? ": " : " ") + *wrong + (o.is_standard() ? "; it is ignored" : ""));
    }
  }
  for (const auto& [name, value] : environment) {
    if (upper(name.substr(0, env_prefix.size())) != env_prefix) continue;
    if (std::none_of(options().begin(), options().end(),
                     [&given = name](const option& o) { return env_name(o) == given; }))
      parsed.warnings.push_back(unknown_name_warning(name));
  }
  check_default_key(parsed);
  check_queue(parsed);
  check_otel(parsed);
  return parsed;
}

std::string warn_of_bare_name(std::string_view name) {
  const auto wanted = upper(name.substr(0, 100));
  if (wanted == "PORT") return {};
  for (const option& o : options()) {
    if (o.is_standard() || o.name != wanted) continue;
    return log_safe(name) + " has no effect without its prefix; write " + env_name(o);
  }
  return {};
}

std::string help_text() {
  std::string out =
      "llm-proxy: an OpenAI-compatible API, guarded by an internal key, in front of a LiteLLM proxy\n"
      "\n"
      "Usage: llm-proxy [--env-file FILE] [serve]      serve until SIGTERM or SIGINT\n"
      "       llm-proxy check-config | print-config | COMMAND … | --help | --version\n"
      "\n"
      "  check-config            say OK, or every fault of the configuration (exit code 2)\n"
      "  print-config            show the effective configuration, secrets masked\n"
      "  --print-env-example     write a commented .env file\n"
      "  --print-options-table   write the options as a Markdown table\n"
      "  --print-errors-table    write the errors as a Markdown table\n"
      "  --print-man-page        write the manual page\n"
      "  --help, -h              show this text\n"
      "  --version               show the version and what it was built from\n"
      "\n"
      "Examples:\n"
      "  LLM_PROXY__LLM_MODE=mock llm-proxy\n"
      "  LLM_PROXY__LITELLM_PROXY_URL=http://127.0.0.1:4000 LLM_PROXY__INTERNAL_API_KEY=choose-one "
      "llm-proxy\n"
      "  llm-proxy chat \"Hello there\"\n"
      "\n"
      "All options are environment variables, or lines of one file (the environment wins): the one of\n"
      "`--env-file FILE`, which stands before a command; or else .env in the working directory; or else,\n"
      "for the program of a package, /etc/llm-proxy/llm-proxy.env. An empty value counts as unset. Those\n"
      "marked SIGHUP are read again from that file when a running service gets that signal.\n";
  std::string_view group;
  for (const option& o : options()) {
    if (std::exchange(group, o.group) != o.group) out.append("\n").append(o.group).append(":\n");
    const auto preset = shown_default(o);
    out += "  " + env_name(o) + (preset.empty() ? "" : "  [" + preset + "]") +
           (o.is_secret() ? "  (secret)" : "") + (o.is_live() ? "  (SIGHUP)" : "") + "\n";
    out.append("      ").append(o.sentence).append("\n      Takes ").append(accepted(o)).append(".\n");
  }
  return out;
}

std::string print_config(const settings& values) {
  std::string out;
  for (const option& o : options()) {
    const auto value = show(o, values);
    const auto shown = o.is_secret() && !value.empty() ? "********" : as_env_value(value);
    out += env_name(o) + "=" + shown + (value == shown_default(o) ? "  # default" : "") + "\n";
  }
  return out;
}

std::string env_example() {
  std::string out =
      "# Options of llm-proxy with their defaults. Copy this file to .env and take the # off the lines you "
      "change.\n"
      "# Variables of the environment win over this file. Written by scripts/generate-docs.sh: do not "
      "edit.\n";
  std::string_view group;
  for (const option& o : options()) {
    if (std::exchange(group, o.group) != o.group) out.append("\n# ---- ").append(o.group).append(" ----\n");
    out.append("\n# ")
        .append(o.sentence)
        .append(o.is_live() ? " Read again on SIGHUP." : "")
        .append("\n# Takes ")
        .append(accepted(o))
        .append(".\n");
    out += "#" + env_name(o) + "=" + as_env_value(shown_default(o)) + "\n";
  }
  return out;
}

std::string readme_options_table() {
  std::string out = "| Variable | Default | Meaning | Takes |\n|---|---|---|---|\n";
  for (const option& o : options()) {
    const auto preset = shown_default(o);
    out += "| `" + env_name(o) + "`" + (o.is_live() ? " ↻" : "") + " | " +
           (preset.empty() ? "" : "`" + preset + "`") + " | ";
    out.append(o.sentence)
        .append(o.is_secret() ? " Secret." : "")
        .append(" | ")
        .append(accepted(o))
        .append(" |\n");
  }
  return out;
}

}  // namespace llm_proxy
