// The service that a command asks: the one these settings describe, on this machine, or any other by --url.
#pragma once

#include "actors/cli/arguments.hpp"
#include "config/settings.hpp"
#include "http/upstream/fetch.hpp"

#include <iosfwd>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace llm_proxy {

inline constexpr option_name url_option{"--url"};
inline constexpr option_name ca_file_option{"--ca-file"};

struct running_service {
  std::string url;  ///< without a path, unless --url had one
  fetch_trust trust;
  std::string key;
  std::string fault;  ///< why no service can be asked; empty if one can
};

/// --url and --ca-file of `arguments`, else where `values` say that the service listens on this machine. Its
/// certificate is not checked there: it names the machine as others know it.
running_service find_service(const settings& values, const parsed_arguments& arguments);

/// The ADMIN_PORT of the same service; none, where it has none or is named by --url.
std::optional<running_service> find_admin(const settings& values, const parsed_arguments& arguments);

/// The request without its method, path and body: address, key, JSON.
fetch_request request_to(const running_service& service);

/// A model of the service's list in OpenAI's shape.
struct listed_model {
  std::string id;
  std::string max_input_tokens;  ///< as the list writes it; empty: LiteLLM does not say
};

/// The models of the body of `GET /v1/models`, in their order. Empty if it is no such list.
std::vector<listed_model> read_openai_list(std::string_view body);

/// Reports on `err` that `what` was answered by `body` instead of a success, or not at all; the exit code.
int report_failure(std::ostream& err, const running_service& service, const fetch_result& result,
                   std::string_view body);

/// `text` as a terminal may show it: control characters other than line feed and tab become blanks. For other
/// readers it stays as it is.
std::string for_output(std::string_view text, bool terminal);

}  // namespace llm_proxy
