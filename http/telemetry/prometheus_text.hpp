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
  std::string_view value;  ///< if empty, the label is left out, which means the same
};
using metric_labels = std::initializer_list<metric_label>;

class prometheus_text {
 public:
  static constexpr std::string_view content_type = "text/plain; version=0.0.4; charset=utf-8";

  /// Returns the labels as they are written between the braces of a sample, escaped; empty if all values are
  /// empty.
  static std::string labels(metric_labels of);

  /// Begins a metric family, to which the following samples belong. `type`: counter, gauge or histogram.
  void family(std::string_view name, std::string_view type, std::string_view help);
  void sample(metric_labels of, double value) { sample_as(labels(of), value); }
  void sample(metric_labels of, std::uint64_t value) { sample_as(labels(of), value); }
  /// Writes a histogram. `counts` has one element more than `bounds`; each element counts its own bucket
  /// only.
  void histogram(metric_labels of, std::span<const double> bounds, std::span<const std::uint64_t> counts,
                 double sum) {
    histogram_as(labels(of), bounds, counts, sum);
  }

  // The same with a text that labels() returned before, for labels that are written repeatedly.
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
