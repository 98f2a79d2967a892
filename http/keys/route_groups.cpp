#include "http/keys/route_groups.hpp"

#include <algorithm>
#include <array>

namespace llm_proxy {

namespace {

/// In the order of the enumeration.
constexpr auto names = std::to_array<std::string_view>(
    {"",       "chat",    "completions",   "responses",   "messages",   "embeddings",    "moderations",
     "rerank", "images",  "audio",         "search",      "ocr",        "videos",        "realtime",
     "files",  "batches", "vector_stores", "fine_tuning", "containers", "conversations", "evals"});
static_assert(names.size() == static_cast<std::size_t>(route_group::evals) + 1);

}  // namespace

std::string_view name_of(route_group group) {
  return names[static_cast<std::size_t>(group)];
}

route_group group_named(std::string_view name) {
  const auto at = std::find(names.begin(), names.end(), name);
  return at == names.end() ? route_group::none : static_cast<route_group>(at - names.begin());
}

std::string all_group_names() {
  std::string all;
  for (std::size_t at = 1; at < names.size(); ++at) {
    if (!all.empty()) all += ", ";
    all += names[at];
  }
  return all;
}

std::string names_of(const route_groups& groups) {
  std::string all;
  for (std::size_t at = 1; at < names.size(); ++at) {
    if (!groups.contains(static_cast<route_group>(at))) continue;
    if (!all.empty()) all += ',';
    all += names[at];
  }
  return all;
}

}  // namespace llm_proxy
