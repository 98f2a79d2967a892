// llm-proxy health: checks whether the service is up. It is for container engines and load balancers that
// have no curl.
#include "actors/cli/commands.hpp"
#include "actors/cli/running_service.hpp"
#include "config/log_safe.hpp"
#include "http/upstream/upstream_address.hpp"

#include <array>
#include <chrono>
#include <ostream>
#include <utility>

namespace llm_proxy {

namespace {

/// The timeout is shorter than the 30 s that container engines allow a check by default, and long enough for
/// a busy machine.
constexpr std::chrono::seconds patience{2};

fetch_result ask(const running_service& service) {
  fetch_request request;
  request.url = service.url;
  request.trust = service.trust;
  const auto address = parse_upstream_address(service.url);
  request.path = address && address->prefix.empty() ? "/health" : "";
  request.connect_timeout = patience;
  request.idle_timeout = patience;
  return fetch(request, [](unsigned, std::string_view) {});
}

}  // namespace

int health_command(std::span<const char* const> arguments, const parsed_settings& parsed, std::ostream& out,
                   std::ostream& err) {
  constexpr std::array known{url_option, ca_file_option};
  const auto given = parse_arguments(arguments, known);
  if (!given.fault.empty()) return report_wrong_use(err, given.fault);
  if (!given.words.empty()) return report_wrong_use(err, "health takes no words, only --url and --ca-file");
  auto service = find_service(parsed.values, given);
  const auto admin = find_admin(parsed.values, given);
  // ADMIN_PORT is asked instead if PORT is not known (PORT=0), or if it requires a client certificate.
  if (admin && (!service.fault.empty() || !parsed.values.tls_client_ca_file.empty())) service = *admin;
  if (!service.fault.empty()) return report_wrong_use(err, service.fault);
  auto result = ask(service);
  if (admin && !result.connected && service.url != admin->url) {
    // PORT is closed while the service drains. If a socket was handed over to the service, PORT is not the
    // port that it listens on.
    if (auto other = ask(*admin); other.connected) {
      service = *admin;
      result = std::move(other);
    }
  }
  if (result.status != 200 || !result.fault.empty()) {
    err << "llm-proxy: error: " << log_safe(service.url) << ": "
        << (result.fault.empty() ? "status " + std::to_string(result.status) : result.fault);
    if (!admin && !given.option(url_option.name) && !parsed.values.tls_client_ca_file.empty())
      err << " (TLS_CLIENT_CA_FILE is set: health can be asked on an ADMIN_PORT)";
    err << '\n';
    return 1;
  }
  out << "healthy\n" << std::flush;
  return 0;
}

}  // namespace llm_proxy
