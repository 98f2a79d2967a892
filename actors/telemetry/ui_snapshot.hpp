// The data of the dashboard as JSON: a Snapshot of http/web/public/openapi.json.
#pragma once

#include "actors/messages/messages.hpp"

#include <string>
#include <vector>

namespace llm_proxy {

/// Returns the snapshot. `seen` has one element per thread. At most max_observed requests in flight are
/// listed.
std::string ui_snapshot(const std::vector<observed>& seen, upstream_table* upstreams);

}  // namespace llm_proxy
