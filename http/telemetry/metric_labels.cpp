#include "http/telemetry/metric_labels.hpp"

#include <utility>

namespace llm_proxy {

namespace {

/// In bytes. No real model id is longer, and a longer label would make every scrape larger.
constexpr std::size_t longest_label = 128;
/// Places and bytes that are reserved for combinations with `other` in them. There are as many such
/// combinations as operations times verdicts.
constexpr std::size_t coarse_places = 150;
constexpr std::size_t coarse_bytes = std::size_t{256} << 10;
/// The bytes of a sample besides its name and labels: braces, a blank, a line feed, `,le="67108864"` and a
/// number of 14 digits, which no counter reaches. `rest_of_sum`: how much longer the sum of a histogram may
/// be.
constexpr std::size_t rest_of_sample = 4 + 14 + 14;
constexpr std::size_t rest_of_sum = 10;

}  // namespace

std::string_view model_labels::label_of(std::string_view model, bool may_add) {
  if (model.empty()) return model;
  if (model.size() > longest_label) return other_label;
  const std::lock_guard lock{changing_};
  if (known_.find(model) != known_.end()) return model;
  if (!may_add || known_.size() >= most_) return other_label;
  known_.emplace(model);
  return model;
}

std::string_view model_labels::label_of_answer(std::string_view model, std::string_view answered,
                                               bool may_add) {
  if (answered.empty()) return answered;
  if (model == other_label || answered.size() > longest_label) return other_label;
  std::string pair{model};
  pair.append(1, '\0').append(answered);
  const std::lock_guard lock{changing_};
  if (known_answers_.find(pair) != known_answers_.end()) return answered;
  if (!may_add || known_answers_.size() >= 2 * most_) return other_label;
  known_answers_.insert(std::move(pair));
  return answered;
}

label_sets::label_sets(std::shared_ptr<scrape_room> room, costs each, label_text rest)
    : room_{std::move(room)}, costs_{each} {
  labels_.push_back(std::move(rest));
  numbers_.emplace(labels_.back().text, place_of_rest);
}

label_sets::place label_sets::find_or_add(const label_text& wanted, const label_text& coarse) {
  const std::lock_guard lock{changing_};
  const auto find = [this](const label_text& labels) { return numbers_.find(labels.text); };
  if (const auto at = find(wanted); at != numbers_.end()) return {at->second, true};
  if (add(wanted, coarse_places, coarse_bytes)) return {numbers_.at(wanted.text), true};
  if (const auto at = find(coarse); at != numbers_.end()) return {at->second, false};
  if (add(coarse, 0, 0)) return {numbers_.at(coarse.text), false};
  return {place_of_rest, false};
}

bool label_sets::add(const label_text& labels, std::size_t kept_places, std::size_t kept_bytes) {
  const auto most = most_combinations / costs_.weight - kept_places / costs_.weight;
  if (labels_.size() >= most || !room_->take(bytes_of(labels), kept_bytes)) return false;
  labels_.push_back(labels);
  numbers_.emplace(labels_.back().text, static_cast<std::uint32_t>(labels_.size() - 1));
  return true;
}

std::size_t label_sets::bytes_of(const label_text& labels) const {
  return costs_.weight *
         (costs_.samples * (costs_.name_bytes + labels.text.size() + rest_of_sample) + rest_of_sum);
}

std::vector<const label_text*> label_sets::all() const {
  const std::lock_guard lock{changing_};
  std::vector<const label_text*> every;
  every.reserve(labels_.size());
  for (const auto& each : labels_) every.push_back(&each);
  return every;
}

}  // namespace llm_proxy
