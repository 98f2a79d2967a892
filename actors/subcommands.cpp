#include "actors/subcommands.hpp"

#include "actors/commit.hpp"
#include "config/log_safe.hpp"
#include "http/health_check.hpp"

#include <chrono>
#include <ostream>
#include <string>

namespace llm_proxy {
namespace {

/// Shorter than what container engines allow a check by default (30 s), long enough for a busy machine.
constexpr std::chrono::seconds health_timeout{2};

/// Where a service with these settings answers on this machine; empty: it can't be known.
std::string own_url(const settings& values) {
  if (values.port == 0) return {};
  std::string host = values.host;
  if (host == "0.0.0.0") host = "127.0.0.1";
  if (host == "::") host = "::1";
  if (host.find(':') != std::string::npos) host = "[" + host + "]";
  return "http://" + host + ":" + std::to_string(values.port) + "/health";
}

int health(std::span<const char* const> arguments, const parsed_settings& parsed, std::ostream& out,
           std::ostream& err) {
  std::string url;
  if (arguments.size() == 2 && std::string_view{arguments[0]} == "--url") {
    url = arguments[1];
  } else if (!arguments.empty()) {
    return report_wrong_use(err, "health takes nothing, or --url and an address");
  } else {
    url = own_url(parsed.values);
    if (url.empty()) return report_wrong_use(err, "PORT=0 doesn't say where the service listens: add --url");
  }
  const auto fault = check_health(url, health_timeout);
  if (!fault.empty()) {
    err << "llm-proxy: error: " << log_safe(url) << ": " << fault << '\n';
    return 1;
  }
  out << "healthy\n" << std::flush;
  return 0;
}

constexpr subcommand rows[] = {
    {"health", "[--url http://HOST:PORT[/PATH]]",
     "Exit code 0 when GET /health of the running service answers 200 within 2 s, else 1. Without --url it "
     "asks\n"
     "      where HOST and PORT say.",
     health},
};

}  // namespace

program_facts facts() {
  return {.subcommands = rows, .commit = built_from};
}

}  // namespace llm_proxy
