// Finds and asks the service that a command is for: the one on this machine that the settings describe, or
// another one given by --url.
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

/// Returns the service at --url, or the one on this machine that `values` describe. The certificate of the
/// latter is checked only with --ca-file, because it has the name that other machines use.
running_service find_service(const settings& values, const parsed_arguments& arguments);

/// Returns the ADMIN_PORT of the same service; nullopt if there is none, or if --url is given.
std::optional<running_service> find_admin(const settings& values, const parsed_arguments& arguments);

/// Returns a request to the service with its address, key and content type (JSON). Method, path and body are
/// up to the caller.
fetch_request request_to(const running_service& service);

/// A model in the service's list in OpenAI's shape.
struct listed_model {
  std::string id;
  std::string max_input_tokens;  ///< as written in the list; empty if LiteLLM does not say
};

/// Returns the models in the body of `GET /v1/models`, in their order. Returns an empty list if the body is
/// not such a list.
std::vector<listed_model> read_openai_list(std::string_view body);

/// Writes to `err` why the request failed: `body` is the error that was answered, `result` says why there was
/// no answer. Returns the exit code.
int report_failure(std::ostream& err, const running_service& service, const fetch_result& result,
                   std::string_view body);

/// Returns `text` in a form that is safe for a terminal: control characters other than line feed and tab
/// become blanks. If the output is not a terminal, the text stays unchanged.
std::string for_output(std::string_view text, bool terminal);

}  // namespace llm_proxy
