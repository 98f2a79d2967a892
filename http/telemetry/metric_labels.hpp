// Which combinations of labels a metric family has, over all threads. A family has at most 2,000. The first
// ones have their own samples for as long as the process lives; all others are counted under `other`. So the
// sums over a family stay right, and no counter looks as if it had been reset.
#pragma once

#include "http/telemetry/scrape_room.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace llm_proxy {

/// The label of everything that has no label of its own.
inline constexpr std::string_view other_label = "other";
/// The largest number of label combinations with their own samples in a family.
inline constexpr std::size_t most_combinations = 2000;

/// The models that have their own label, over all threads. Models that come later are `other`.
class model_labels {
 public:
  explicit model_labels(std::size_t most = 200) : most_{most} {}
  /// Returns `model` or `other`. A name that is not known yet is added if `may_add` is true and there is
  /// room.
  std::string_view label_of(std::string_view model, bool may_add);
  /// The same for `answered`, the model that answered when `model` (a label) was asked for. There may be
  /// twice as many such pairs as models.
  std::string_view label_of_answer(std::string_view model, std::string_view answered, bool may_add);

 private:
  const std::size_t most_;
  std::mutex changing_;  // locked when a thread meets a label set for the first time
  std::set<std::string, std::less<>> known_;
  std::set<std::string, std::less<>> known_answers_;  // model, NUL, model that answered
};

/// Labels as a sample has them between its braces: `a="b",c="d"`. `gap` is the offset at which one more label
/// may be inserted, with a comma before it: after a label and before the next comma, or at the end.
struct label_text {
  std::string text;
  std::size_t gap = 0;
};

/// The combinations of one family. Thread-safe.
class label_sets {
 public:
  /// What one combination costs in a scrape: `samples` lines, each with at most `name_bytes` bytes besides
  /// its labels. `weight`: the number of combinations that it becomes when a label is inserted at its gap.
  struct costs {
    std::size_t samples;
    std::size_t name_bytes;
    std::size_t weight = 1;
  };
  /// `rest`: the labels of everything for which there is no other room.
  label_sets(std::shared_ptr<scrape_room> room, costs each, label_text rest);

  struct place {
    std::uint32_t number;  ///< small, because it is the index of an array of counts
    bool own;              ///< it is the place of the labels that were asked for
  };
  /// Returns the place of `wanted`. If there is no room for it, returns that of `coarse`, which has `other`
  /// for most of the labels. If there is no room for `coarse` either, returns `place_of_rest`.
  place find_or_add(const label_text& wanted, const label_text& coarse);

  /// Returns the labels of all places, by number. They live as long as this object.
  std::vector<const label_text*> all() const;

  static constexpr std::uint32_t place_of_rest = 0;

 private:
  bool add(const label_text& labels, std::size_t kept_places, std::size_t kept_bytes);
  std::size_t bytes_of(const label_text& labels) const;

  const std::shared_ptr<scrape_room> room_;
  const costs costs_;
  mutable std::mutex changing_;
  std::deque<label_text> labels_;  // elements are never moved or removed
  std::unordered_map<std::string_view, std::uint32_t> numbers_;
};

}  // namespace llm_proxy
