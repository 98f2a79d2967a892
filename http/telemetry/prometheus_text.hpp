// Writes the Prometheus text format, version 0.0.4
// (https://prometheus.io/docs/instrumenting/exposition_formats/).
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <utility>

namespace llm_proxy {

struct metric_label {
  std::string_view name;
  std::string_view value;  ///< empty: left out, which means the same
};
using metric_labels = std::initializer_list<metric_label>;

class prometheus_text {
 public:
  static constexpr std::string_view content_type = "text/plain; version=0.0.4; charset=utf-8";

  /// Labels as they stand between the braces of a sample, escaped; empty if all values are.
  static std::string labels(metric_labels of);

  /// Begins a metric family: the samples that follow are its own. `type`: counter, gauge or histogram.
  void family(std::string_view name, std::string_view type, std::string_view help);
  void sample(metric_labels of, double value) { sample_as(labels(of), value); }
  void sample(metric_labels of, std::uint64_t value) { sample_as(labels(of), value); }
  /// A histogram: `counts` holds one more than `bounds`, each of its own bucket alone.
  void histogram(metric_labels of, std::span<const double> bounds, std::span<const std::uint64_t> counts,
                 double sum) {
    histogram_as(labels(of), bounds, counts, sum);
  }

  // The same with labels that labels() made before: for those that are written again and again.
  void sample_as(std::string_view labels, double value);
  void sample_as(std::string_view labels, std::uint64_t value);
  void histogram_as(std::string_view labels, std::span<const double> bounds,
                    std::span<const std::uint64_t> counts, double sum);

  std::size_t size() const { return text_.size(); }
  std::string take() { return std::move(text_); }

 private:
  void begin_sample(std::string_view suffix, std::string_view labels, std::string_view bound = {});

  std::string text_;
  std::string name_;
};

}  // namespace llm_proxy
