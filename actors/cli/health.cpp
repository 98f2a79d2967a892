// llm-proxy health: is the service there? For container engines and balancers without curl.
#include "actors/cli/commands.hpp"
#include "actors/cli/running_service.hpp"
#include "config/log_safe.hpp"
#include "http/upstream_address.hpp"

#include <array>
#include <chrono>
#include <ostream>

namespace llm_proxy {

namespace {

/// Shorter than what container engines allow a check by default (30 s), long enough for a busy machine.
constexpr std::chrono::seconds patience{2};

}  // namespace

int health_command(std::span<const char* const> arguments, const parsed_settings& parsed, std::ostream& out,
                   std::ostream& err) {
  constexpr std::array known{url_option, ca_file_option};
  const auto given = parse_arguments(arguments, known);
  if (!given.fault.empty()) return report_wrong_use(err, given.fault);
  if (!given.words.empty()) return report_wrong_use(err, "health takes no words, only --url and --ca-file");
  const auto service = find_service(parsed.values, given);
  if (!service.fault.empty()) return report_wrong_use(err, service.fault);
  fetch_request request;
  request.url = service.url;
  request.trust = service.trust;
  const auto address = parse_upstream_address(service.url);
  request.path = address && address->prefix.empty() ? "/health" : "";
  request.connect_timeout = patience;
  request.idle_timeout = patience;
  const auto result = fetch(request, [](unsigned, std::string_view) {});
  if (result.status != 200 || !result.fault.empty()) {
    err << "llm-proxy: error: " << log_safe(service.url) << ": "
        << (result.fault.empty() ? "status " + std::to_string(result.status) : result.fault) << '\n';
    return 1;
  }
  out << "healthy\n" << std::flush;
  return 0;
}

}  // namespace llm_proxy
