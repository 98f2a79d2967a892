// The groups of routes that a key may use. What a provider stores (files, batches …) lies under LiteLLM's one
// key, so every key that may use such a group can read what the others have stored there.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace llm_proxy {

enum class route_group : std::uint8_t {
  none,  ///< every key may use the route: the lists of models, the service's own endpoints, PASSTHROUGH_PATHS
  chat,
  completions,
  responses,
  messages,
  embeddings,
  moderations,
  rerank,
  images,
  audio,
  search,
  ocr,
  // A key of the keys file has the following only if its entry names them.
  videos,
  realtime,
  files,
  batches,
  vector_stores,
  fine_tuning,
  containers,
  conversations,
  evals,
};

/// A set of groups.
class route_groups {
 public:
  constexpr bool contains(route_group group) const {
    return group == route_group::none || (bits_ >> static_cast<unsigned>(group) & 1U) != 0;
  }
  constexpr void add(route_group group) { bits_ |= std::uint32_t{1} << static_cast<unsigned>(group); }
  constexpr bool empty() const { return bits_ == 0; }
  friend constexpr bool operator==(const route_groups&, const route_groups&) = default;

 private:
  std::uint32_t bits_ = 0;
};

/// The groups of a key whose entry does not name any.
constexpr route_groups usual_groups() {
  route_groups all;
  for (auto group = static_cast<unsigned>(route_group::chat);
       group <= static_cast<unsigned>(route_group::ocr); ++group) {
    all.add(static_cast<route_group>(group));
  }
  return all;
}

/// The name of a group in the keys file; empty for none.
std::string_view name_of(route_group group);

/// Returns the group of that name, or none if there is no such group.
route_group group_named(std::string_view name);

/// Returns the names of all groups, in their order, separated by commas.
std::string all_group_names();

/// Returns the names of the groups in the set, in their order, separated by commas without blanks.
std::string names_of(const route_groups& groups);

}  // namespace llm_proxy
