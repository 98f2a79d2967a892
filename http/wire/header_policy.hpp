// Which headers cross the proxy, each way. Everything that is not named here stays on its side.
#pragma once

#include "http/wire/message.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace llm_proxy {

/// The kind of an endpoint. It decides which headers cross.
enum class header_policy : std::uint8_t {
  model_call,  ///< a question to a model and its answer
  resource,  ///< what is stored: headers of ranges, conditions and content cross too, and no success is read
};

/// Whether a header's name fits `pattern`, in any letter case. One * in it stands for any characters, or for
/// none.
bool fits_name(std::string_view pattern, std::string_view name);

/// Whether a client's header with this name goes upstream, whatever its value. `extra` are the patterns that
/// the operator added, as fits_name() takes them. They never let a header pass that never_forwarded() is true
/// for.
bool goes_upstream(std::string_view name, const std::vector<std::string>& extra,
                   header_policy policy = header_policy::model_call);

/// Returns what goes upstream of a client's header: its value, or only the entry `session.id` of a `baggage`
/// that the operator did not add. Returns nullopt if nothing does. Beside the headers that goes_upstream()
/// allows, those that name an agent's session pass (session_headers.hpp). The view is of `field.value`.
std::optional<std::string_view> upstream_value(header field, const std::vector<std::string>& extra,
                                               header_policy policy = header_policy::model_call);

/// Whether an upstream header with this name may reach the client. Those that show upstream's address or tell
/// about our key, cookies, and permissions for browsers never do.
bool comes_back(std::string_view name, header_policy policy = header_policy::model_call);

/// True if the Connection field of `all` names other fields than its own two words, `close` and `keep-alive`:
/// then is_connection_option() has to be called.
bool has_connection_options(const header_list& all);

/// True if the Connection field of `all` names the field `name`, which must then not be forwarded (RFC 9110
/// §7.6.1).
bool is_connection_option(const header_list& all, std::string_view name);

/// Returns those of `from` that may reach the client. `upstream` is upstream's `host:port`; empty if there is
/// none. A link of a Link field that names that host is left out, because it would show the address and lead
/// nowhere; other links stay.
header_list client_headers(header_list from, header_policy policy = header_policy::model_call,
                           std::string_view upstream = {});

}  // namespace llm_proxy
