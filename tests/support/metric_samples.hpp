// Reads the samples of a scrape.
#pragma once

#include "http/telemetry/thread_metrics.hpp"
#include "support/catch.hpp"

#include <chrono>
#include <map>
#include <string>

namespace llm_proxy::test {

inline std::string text_of(const metric_counts& metrics) {
  prometheus_text text;
  text_steps steps;
  metrics.write(text, steps);
  while (!steps.run(std::chrono::seconds{1})) {
  }
  return text.take();
}

/// Returns the value of each sample that is called `name`, by its labels.
inline std::map<std::string, double> samples_of(const std::string& text, const std::string& name) {
  std::map<std::string, double> all;
  const auto begin = "\n" + name + "{";
  for (auto at = text.find(begin); at != std::string::npos; at = text.find(begin, at + 1)) {
    const auto labels = at + begin.size();
    const auto end = text.find("} ", labels);
    CHECK(all.emplace(text.substr(labels, end - labels), std::stod(text.substr(end + 2))).second);
  }
  return all;
}

inline double sum_of(const std::map<std::string, double>& samples) {
  double sum = 0;
  for (const auto& [labels, value] : samples) sum += value;
  return sum;
}

}  // namespace llm_proxy::test
