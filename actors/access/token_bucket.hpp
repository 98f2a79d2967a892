// A limit per minute: a burst may use a full minute's worth at once, which then refills at a constant rate.
#pragma once

#include "http/loop/deadlines.hpp"

#include <algorithm>

namespace llm_proxy {

class token_bucket {
 public:
  using time_point = steady_clock::time_point;
  using seconds = std::chrono::duration<double>;

  /// Changes the limit. What was used of the old limit counts against the new one.
  void set_limit(double per_minute, time_point now) {
    if (per_minute == limit_) return;
    const double used = limit_ - left(now);
    limit_ = per_minute;
    left_ = per_minute - used;
  }
  double limit() const { return limit_; }
  /// Returns what is left. The result is negative if more was taken than there was.
  double left(time_point now) {
    left_ = std::min(limit_, left_ + seconds(now - as_of_).count() * limit_ / 60);
    as_of_ = now;
    return left_;
  }
  void take(double amount, time_point now) { left_ = left(now) - amount; }
  void give_back(double amount, time_point now) { left_ = std::min(limit_, left(now) + amount); }
  /// Returns the time until `amount` is available, or until the bucket is full if `amount` exceeds the limit.
  /// Returns 0 if there is enough now.
  seconds until(double amount, time_point now) {
    return limit_ > 0 ? seconds{std::max(0.0, std::min(amount, limit_) - left(now)) * 60 / limit_}
                      : seconds{0};
  }

 private:
  double limit_ = 0;
  double left_ = 0;
  time_point as_of_{};
};

}  // namespace llm_proxy
