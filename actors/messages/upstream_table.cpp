#include "actors/messages/upstream_table.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <utility>

namespace llm_proxy {

namespace {

/// The share with which an upstream that has just come back begins.
constexpr double first_share = 0.1;

}  // namespace

upstream_table::upstream_table(std::vector<std::string> names)
    : upstream_table{std::move(names), options{}} {}

upstream_table::upstream_table(std::vector<std::string> names, options how)
    : entries_(names.size()), options_{how} {
  for (std::size_t i = 0; i < names.size(); ++i) entries_[i].name = std::move(names[i]);
}

bool upstream_table::any_usable_but(upstream_set tried) const {
  for (std::size_t i = 0; i < entries_.size(); ++i) {
    if ((tried & bit_of(i)) == 0 && usable(i)) return true;
  }
  return false;
}

double upstream_table::share(std::size_t upstream, steady_clock::time_point now) const {
  const auto& which = entries_[upstream];
  if (which.ejected.load(relaxed)) return 0;
  const auto since = which.returned_at.load(relaxed);
  if (since == 0) return 1;
  const auto back = now - steady_clock::time_point{steady_clock::duration{since}};
  const auto grown = std::chrono::duration<double>(back) / std::chrono::duration<double>(options_.slow_start);
  return std::clamp(grown, first_share, 1.0);
}

void upstream_table::succeeded(std::size_t upstream) {
  auto& faults = entries_[upstream].faults;
  if (faults.load(relaxed) != 0) faults.store(0, relaxed);
}

void upstream_table::failed(std::size_t upstream, std::string_view why) {
  auto& which = entries_[upstream];
  const auto faults = which.faults.fetch_add(1, relaxed) + 1;
  if (faults >= options_.faults_to_eject && entries_.size() > 1 && !which.ejected.load(relaxed)) {
    eject(which, std::to_string(faults) + " faults of its own in a row, the last: " + std::string{why});
  }
}

bool upstream_table::abandoned(std::size_t upstream, steady_clock::time_point now) {
  const std::lock_guard lock{changing_};
  auto& which = entries_[upstream];
  if (entries_.size() < 2 || which.ejected.load(relaxed)) return false;
  auto& latest = which.abandoned_at;
  *std::min_element(latest.begin(), latest.end()) = now;  // an empty optional is the least
  const auto oldest = *std::min_element(latest.begin(), latest.end());
  if (!oldest || now - *oldest > options_.suspicion_window) return false;
  if (which.suspected_at && now - *which.suspected_at < options_.suspicion_window) return false;
  which.suspected_at = now;
  latest = {};
  return true;
}

void upstream_table::gave_no_sign(std::size_t upstream, std::string_view why) {
  auto& which = entries_[upstream];
  const auto reason =
      "clients gave it up before its first byte, and its GET /health/liveliness failed: " + std::string{why};
  if (!eject(which, reason) && usable(upstream))
    spdlog::warn("upstream {}: {}; it is the last one in use, and stays", which.name, reason);
}

/// Returns false if the upstream is left out already, or is the last usable one.
bool upstream_table::eject(entry& which, const std::string& reason) {
  const std::lock_guard lock{changing_};
  const auto usable = std::count_if(entries_.begin(), entries_.end(),
                                    [](const entry& each) { return !each.ejected.load(relaxed); });
  if (usable < 2 || which.ejected.load(relaxed)) return false;
  which.ejected_at.store(steady_clock::now().time_since_epoch().count(), relaxed);
  which.ejected.store(true, relaxed);
  which.ejections.fetch_add(1, relaxed);
  spdlog::warn("upstream {}: left out: {}; {} of {} are left", which.name, reason, usable - 1,
               entries_.size());
  return true;
}

void upstream_table::returned(std::size_t upstream, steady_clock::time_point now) {
  const std::lock_guard lock{changing_};
  auto& which = entries_[upstream];
  if (!which.ejected.load(relaxed)) return;
  which.faults.store(options_.faults_to_eject - 1, relaxed);
  which.returned_at.store(now.time_since_epoch().count(), relaxed);
  which.ejected.store(false, relaxed);
  spdlog::warn("upstream {}: answers again, and gets its share back over {} s", which.name,
               std::chrono::duration_cast<std::chrono::seconds>(options_.slow_start).count());
}

void upstream_table::answered(std::size_t upstream, steady_clock::time_point opened,
                              steady_clock::time_point now) {
  if (usable(upstream)) return;
  const auto ejected_at = entries_[upstream].ejected_at.load(relaxed);
  if (opened.time_since_epoch().count() > ejected_at) returned(upstream, now);
}

}  // namespace llm_proxy
