// A histogram in Prometheus' sense, and the bounds of the histograms of this service.
#pragma once

#include "http/telemetry/prometheus_text.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace llm_proxy {

// These bounds are those that the OTel semantic conventions for GenAI metrics advise
// (https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-metrics/).
inline constexpr std::array duration_bounds{0.01, 0.02, 0.04, 0.08,  0.16,  0.32,  0.64,
                                            1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92};
inline constexpr std::array first_token_bounds{0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1,
                                               0.25,  0.5,   0.75, 1.0,  2.5,  5.0,  7.5,  10.0};
inline constexpr std::array per_token_bounds{0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2,
                                             0.3,  0.4,   0.5,  0.75,  1.0, 2.5};
inline constexpr std::array token_bounds{1.0,       4.0,       16.0,       64.0,      256.0,
                                         1024.0,    4096.0,    16384.0,    65536.0,   262144.0,
                                         1048576.0, 4194304.0, 16777216.0, 67108864.0};
/// For durations that should be microseconds.
inline constexpr std::array delay_bounds{0.00001, 0.0001, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0};

/// `Bounds`: the inclusive upper limits of its buckets.
template <const auto& Bounds>
class metric_histogram {
 public:
  /// The number of lines of text: the buckets (one more than `Bounds`), the sum and the count.
  static constexpr std::size_t samples = Bounds.size() + 3;

  void add(double value) {
    const auto at = std::lower_bound(Bounds.begin(), Bounds.end(), value) - Bounds.begin();
    ++counts_[static_cast<std::size_t>(at)];
    sum_ += value;
  }
  void add(const metric_histogram& other) {
    for (std::size_t i = 0; i < counts_.size(); ++i) counts_[i] += other.counts_[i];
    sum_ += other.sum_;
  }
  bool empty() const {
    return std::all_of(counts_.begin(), counts_.end(), [](auto count) { return count == 0; });
  }
  void write(prometheus_text& text, metric_labels labels) const {
    text.histogram(labels, Bounds, counts_, sum_);
  }
  /// `labels`: a text from prometheus_text::labels().
  void write_as(prometheus_text& text, std::string_view labels) const {
    text.histogram_as(labels, Bounds, counts_, sum_);
  }

 private:
  std::array<std::uint64_t, Bounds.size() + 1> counts_{};
  double sum_ = 0;
};

}  // namespace llm_proxy
