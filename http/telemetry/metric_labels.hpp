// Which combinations of labels a metric family has, over all threads. At most 2,000 each: those that come
// first have samples of their own for as long as the process lives, the rest is counted under `other`, so
// that sums over a family stay right and no counter looks as if it had been reset.
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

/// What stands for everything that has no label of its own.
inline constexpr std::string_view other_label = "other";
/// The most combinations of labels that a family has samples of.
inline constexpr std::size_t most_combinations = 2000;

/// The models that have a label of their own, on all threads; what comes later is `other`.
class model_labels {
 public:
  explicit model_labels(std::size_t most = 200) : most_{most} {}
  /// `model` or `other`. A name that is not known yet becomes so if `may_add` and there is room.
  std::string_view label_of(std::string_view model, bool may_add);
  /// The same for the model that answered as `model` (a label); of such pairs there may be twice as many.
  std::string_view label_of_answer(std::string_view model, std::string_view answered, bool may_add);

 private:
  const std::size_t most_;
  std::mutex changing_;  // asked where a thread meets a label set for the first time
  std::set<std::string, std::less<>> known_;
  std::set<std::string, std::less<>> known_answers_;  // model, NUL, model that answered
};

/// Labels as a sample has them between its braces: `a="b",c="d"`. `gap` is where one more label may be put
/// in: between two labels, behind the comma of the first, or 0 for in front of all.
struct label_text {
  std::string text;
  std::size_t gap = 0;
};

/// The combinations of one family. Thread-safe.
class label_sets {
 public:
  /// What one combination costs in a scrape: `samples` lines of `name_bytes` bytes at most, beside its
  /// labels. `weight`: combinations that one stands for, where a label is put into its gap.
  struct costs {
    std::size_t samples;
    std::size_t name_bytes;
    std::size_t weight = 1;
  };
  /// `rest`: the labels of everything that finds no room elsewhere.
  label_sets(std::shared_ptr<scrape_room> room, costs each, label_text rest);

  struct place {
    std::uint32_t number;  ///< small: what is counted for it stands there in an array
    bool own;              ///< it is that of the labels asked for
  };
  /// The place of `wanted`; where there is no room for it, that of `coarse`, which is the same with `other`
  /// for most labels; if those have no place either, the place of everything else.
  place find_or_add(const label_text& wanted, const label_text& coarse);

  /// The labels of all places, by number. They live as long as this.
  std::vector<const label_text*> all() const;

  static constexpr std::uint32_t place_of_rest = 0;

 private:
  bool add(const label_text& labels, std::size_t kept_places, std::size_t kept_bytes);
  std::size_t bytes_of(const label_text& labels) const;

  const std::shared_ptr<scrape_room> room_;
  const costs costs_;
  mutable std::mutex changing_;
  std::deque<label_text> labels_;  // never moved, never taken away
  std::unordered_map<std::string_view, std::uint32_t> numbers_;
};

}  // namespace llm_proxy
