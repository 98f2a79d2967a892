#include "http/upstream/upstream_address.hpp"

#include "http/text/text.hpp"

#include <boost/url/parse.hpp>
#include <boost/url/url_view.hpp>

#include <charconv>
#include <cstdint>
#include <system_error>

namespace llm_proxy {

namespace {

/// An empty port stands for the scheme's default.
bool is_port(std::string_view text) {
  return text.empty() || parse_number<std::uint16_t>(text).value_or(0) > 0;
}

}  // namespace

std::optional<upstream_address> parse_upstream_address(std::string_view url) {
  const auto parsed = boost::urls::parse_uri({url.data(), url.size()});
  if (!parsed) return std::nullopt;
  const boost::urls::url_view& view = *parsed;
  const auto scheme = view.scheme_id();
  if (scheme != boost::urls::scheme::http && scheme != boost::urls::scheme::https) return std::nullopt;
  if (view.has_userinfo() || view.has_query() || view.has_fragment() || view.encoded_host().empty()) {
    return std::nullopt;
  }
  upstream_address address;
  address.tls = scheme == boost::urls::scheme::https;
  address.host = view.host_address();  // brackets of an IPv6 literal removed
  // Boost 1.81 reads `http://x:port` as an empty port and a path `port`.
  if (!view.encoded_path().empty() && view.encoded_path().front() != '/') return std::nullopt;
  if (!is_port({view.port().data(), view.port().size()})) return std::nullopt;
  const std::string default_port = address.tls ? "443" : "80";
  const auto port = view.port();
  address.port = port.empty() ? default_port : std::string{port.data(), port.size()};
  const auto host = view.encoded_host();
  address.host_header = std::string{host.data(), host.size()};
  if (address.port != default_port) address.host_header += ":" + address.port;
  const auto path = view.encoded_path();
  address.prefix = std::string{path.data(), path.size()};
  while (!address.prefix.empty() && address.prefix.back() == '/') address.prefix.pop_back();
  return address;
}

}  // namespace llm_proxy
