// Which headers cross the proxy, each way. Everything that is not named here stays on its side.
#pragma once

#include "http/wire/message.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace llm_proxy {

/// What kind of exchange an endpoint is, as far as its headers go.
enum class header_policy : std::uint8_t {
  model_call,  ///< a question to a model and its answer
  resource,    ///< files and the like: ranges, conditions and what describes the content cross too
};

/// Whether a header's name is `pattern`, in any letter case; one * in it stands for any characters, also
/// none.
bool fits_name(std::string_view pattern, std::string_view name);

/// May this client header go upstream, whatever its value? `extra`: names the operator added, as fits_name()
/// takes them.
/// Never one that never_forwarded() is true for, whatever the operator added.
bool goes_upstream(std::string_view name, const std::vector<std::string>& extra,
                   header_policy policy = header_policy::model_call);

/// What of this client header goes upstream: its value, or the entry `session.id` of a `baggage` that the
/// operator did not add. nullopt if nothing does. Beside what goes_upstream() is true for it is the session
/// of an agent (session_headers.hpp). The view is of `field.value`.
std::optional<std::string_view> upstream_value(header field, const std::vector<std::string>& extra,
                                               header_policy policy = header_policy::model_call);

/// May this upstream header reach the client? Never what tells of upstream's address or our key, a cookie, or
/// a permission for browsers.
bool comes_back(std::string_view name, header_policy policy = header_policy::model_call);

/// True if the Connection field of `all` names other fields than its own two words, `close` and `keep-alive`:
/// then is_connection_option() has to be asked.
bool has_connection_options(const header_list& all);

/// True if the Connection field of `all` names the field `name`, which must then not be forwarded (RFC 9110
/// §7.6.1).
bool is_connection_option(const header_list& all, std::string_view name);

/// Those of `from` that may reach the client. `upstream`: its host and port, as `host:port`. A Link that
/// names that host is left out: it would tell the address and lead nowhere. Empty if there is none.
header_list client_headers(header_list from, header_policy policy = header_policy::model_call,
                           std::string_view upstream = {});

}  // namespace llm_proxy
