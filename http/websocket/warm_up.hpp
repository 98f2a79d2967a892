// The answer to a request with `generate: false`, which only prepares a later one (developers.openai.com,
// "WebSocket mode").
#pragma once

#include <array>
#include <string>
#include <string_view>

namespace llm_proxy {

/// Returns a new id for a response that no upstream knows.
std::string make_warm_up_id();

/// Returns response.created, response.in_progress and response.completed of a response without output or
/// usage. `model` is a JSON value. `parent` is the response that it continues; empty if there is none.
std::array<std::string, 3> warm_up_events(std::string_view id, std::string_view model,
                                          std::string_view parent);

}  // namespace llm_proxy
