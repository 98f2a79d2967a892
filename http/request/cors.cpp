#include "http/request/cors.hpp"

#include "http/text/text.hpp"
#include "http/wire/field_lists.hpp"
#include "http/wire/origin.hpp"

#include <algorithm>
#include <array>

namespace llm_proxy {

namespace {

/// All that routes and passed-through paths accept.
constexpr std::string_view methods = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS";

/// For how many seconds a browser need not ask again. Without it these are 5 (Fetch §4.9). A longer time
/// would gain little, and the pages of an origin that was taken off the list could send requests all that
/// time.
constexpr std::string_view max_age = "600";

constexpr std::array<std::string_view, 6> exposed_names{"x-request-id",   "request-id",     "retry-after",
                                                        "retry-after-ms", "x-should-retry", "server-timing"};
constexpr std::array<std::string_view, 3> exposed_prefixes{"x-ratelimit-", "anthropic-ratelimit-",
                                                           "x-llm-proxy-"};

void append_element(std::string& list, std::string_view element) {
  if (!list.empty()) list += ", ";
  list += element;
}

}  // namespace

bool is_listed_origin(std::string_view origin, const std::vector<std::string>& list) {
  const auto has = [&](std::string_view wanted) {
    return std::find(list.begin(), list.end(), wanted) != list.end();
  };
  // Browsers send the spelling of the list. Other clients need not.
  return has(origin) || has(read_origin(origin).origin);
}

header_list allow_preflight(const request_head& preflight) {
  header_list headers;
  headers.add("access-control-allow-methods", methods);
  headers.add("access-control-max-age", max_age);
  // A * would not cover authorization, and old browsers take it for a name.
  std::string names;
  any_list_element(preflight.headers, "access-control-request-headers", [&](std::string_view name) {
    if (is_token(name)) append_element(names, name);
    return false;
  });
  if (!names.empty()) headers.add("access-control-allow-headers", names);
  return headers;
}

void add_cors_headers(header_list& answer, const request_head& request,
                      const std::vector<std::string>& list) {
  if (const auto origin = request.headers.find("origin"); origin && is_listed_origin(*origin, list)) {
    std::string exposed;
    for (const auto field : answer) {
      if (is_exposed(field.name)) append_element(exposed, field.name);
    }
    // The browser compares it with what it sent, byte for byte.
    answer.add("access-control-allow-origin", *origin);
    if (!exposed.empty()) answer.add("access-control-expose-headers", exposed);
  }
  answer.add("vary", "Origin");
}

bool is_exposed(std::string_view name) {
  return std::any_of(exposed_names.begin(), exposed_names.end(),
                     [name](auto known) { return iequals(known, name); }) ||
         std::any_of(exposed_prefixes.begin(), exposed_prefixes.end(),
                     [name](auto prefix) { return istarts_with(name, prefix); });
}

}  // namespace llm_proxy
