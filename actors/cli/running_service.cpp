#include "actors/cli/running_service.hpp"

#include "config/log_safe.hpp"
#include "http/json/json_text.hpp"
#include "http/json/json_walk.hpp"

#include <cstdint>
#include <ostream>
#include <utility>

namespace llm_proxy {

namespace {

constexpr int failed = 1;

/// Returns the message of an error object, or the beginning of a body that is not one.
std::string message_of(std::string_view body) {
  std::string message;
  if (is_valid_json(body)) {
    for_each_member(body, [&](std::string_view name, json_token kind, std::string_view raw) {
      if (name != "error" || kind != json_token::begin_object) return;
      for_each_member(raw, [&](std::string_view inner, json_token type, std::string_view text) {
        if (inner == "message" && type == json_token::string) message = json_unescaped(text);
      });
    });
  }
  return log_safe(message.empty() ? body : message);
}

/// Returns the URL of HOST and that port. If HOST is the wildcard address, the URL has the loopback address.
std::string local_url(const settings& values, std::string_view scheme, std::uint64_t port) {
  std::string host = values.host;
  if (host == "0.0.0.0") host = "127.0.0.1";
  if (host == "::") host = "::1";
  if (host.find(':') != std::string::npos) host = "[" + host + "]";
  return std::string{scheme} + host + ":" + std::to_string(port);
}

}  // namespace

running_service find_service(const settings& values, const parsed_arguments& arguments) {
  running_service found;
  found.key = values.internal_api_key;
  found.trust.ca_file = arguments.option(ca_file_option.name).value_or("");
  if (const auto url = arguments.option(url_option.name)) {
    found.url = *url;
    return found;
  }
  if (values.port == 0) {
    found.fault = "PORT=0 doesn't say where the service listens: add --url";
    return found;
  }
  const bool tls = !values.tls_cert_file.empty();
  found.url = local_url(values, tls ? "https://" : "http://", values.port);
  found.trust.nobody = tls && found.trust.ca_file.empty();
  return found;
}

std::optional<running_service> find_admin(const settings& values, const parsed_arguments& arguments) {
  if (values.admin_port == 0 || arguments.option(url_option.name)) return std::nullopt;
  running_service found;
  found.url = local_url(values, "http://", values.admin_port);
  return found;
}

fetch_request request_to(const running_service& service) {
  fetch_request request;
  request.url = service.url;
  request.trust = service.trust;
  request.headers.add("x-internal-auth", service.key);
  request.headers.add("content-type", "application/json");
  return request;
}

std::vector<listed_model> read_openai_list(std::string_view body) {
  std::vector<listed_model> models;
  if (!is_valid_json(body)) return models;
  for_each_member(body, [&](std::string_view member, json_token type, std::string_view data) {
    if (member != "data" || type != json_token::begin_array) return;
    for_each_element(data, [&](json_token, std::string_view object) {
      listed_model each;
      for_each_member(object, [&](std::string_view name, json_token kind, std::string_view raw) {
        if (name == "id" && kind == json_token::string) each.id = json_unescaped(raw);
        if (name == "max_input_tokens" && kind == json_token::number) each.max_input_tokens = raw;
      });
      if (!each.id.empty()) models.push_back(std::move(each));
    });
  });
  return models;
}

int report_failure(std::ostream& err, const running_service& service, const fetch_result& result,
                   std::string_view body) {
  err << "llm-proxy: error: " << log_safe(service.url) << ": ";
  if (!result.fault.empty())
    err << result.fault;
  else
    err << "status " << result.status << ": " << message_of(body);
  err << '\n';
  return failed;
}

std::string for_output(std::string_view text, bool terminal) {
  std::string out{text};
  if (!terminal) return out;
  for (auto& c : out) {
    const auto byte = static_cast<unsigned char>(c);
    if ((byte < 0x20 && c != '\n' && c != '\t') || byte == 0x7f) c = ' ';
  }
  return out;
}

}  // namespace llm_proxy
