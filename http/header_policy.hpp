// Which headers cross the proxy, each way. Everything that is not named here stays on its side.
#pragma once

#include "http/message.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace llm_proxy {

/// May this client header go upstream? `extra`: names the operator added, lower case. Never a credential.
bool goes_upstream(std::string_view name, const std::vector<std::string>& extra);

/// May this upstream header reach the client? Never what tells of upstream's address or our key.
bool comes_back(std::string_view name);

/// Those of `from` that may reach the client.
header_list client_headers(header_list from);

}  // namespace llm_proxy
