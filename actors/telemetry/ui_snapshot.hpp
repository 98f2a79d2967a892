// What the dashboard is told, as JSON: a Snapshot of http/web/public/openapi.json.
#pragma once

#include "actors/messages/messages.hpp"

#include <string>
#include <vector>

namespace llm_proxy {

/// `seen` of all threads; of their requests at most max_observed are listed.
std::string ui_snapshot(const std::vector<observed>& seen, upstream_table* upstreams);

}  // namespace llm_proxy
