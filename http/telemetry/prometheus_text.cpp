#include "http/telemetry/prometheus_text.hpp"

#include <array>
#include <charconv>
#include <cmath>

namespace llm_proxy {

namespace {

void append_number(std::string& text, double value) {
  if (!std::isfinite(value)) {
    text += std::isnan(value) ? "NaN" : value > 0 ? "+Inf" : "-Inf";
    return;
  }
  std::array<char, 32> digits{};
  const auto [end, fault] = std::to_chars(digits.data(), digits.data() + digits.size(), value);
  text.append(digits.data(), end);
}

void append_number(std::string& text, std::uint64_t value) {
  std::array<char, 24> digits{};
  const auto [end, fault] = std::to_chars(digits.data(), digits.data() + digits.size(), value);
  text.append(digits.data(), end);
}

void append_escaped(std::string& text, std::string_view value, bool quoted) {
  for (const char c : value) {
    if (c == '\\') {
      text += "\\\\";
    } else if (c == '\n') {
      text += "\\n";
    } else if (c == '"' && quoted) {
      text += "\\\"";
    } else {
      text += c;
    }
  }
}

}  // namespace

void prometheus_text::family(std::string_view name, std::string_view type, std::string_view help) {
  name_ = name;
  text_.append("# HELP ").append(name).append(" ");
  append_escaped(text_, help, false);
  text_.append("\n# TYPE ").append(name).append(" ").append(type).append("\n");
}

std::string prometheus_text::labels(metric_labels of) {
  std::string text;
  for (const auto& each : of) {
    if (each.value.empty()) continue;
    if (!text.empty()) text += ',';
    text.append(each.name).append("=\"");
    append_escaped(text, each.value, true);
    text += '"';
  }
  return text;
}

void prometheus_text::begin_sample(std::string_view suffix, std::string_view labels, std::string_view bound) {
  text_.append(name_).append(suffix);
  if (!labels.empty() || !bound.empty()) {
    text_.append("{").append(labels);
    if (!bound.empty()) text_.append(labels.empty() ? "le=\"" : ",le=\"").append(bound).append("\"");
    text_ += '}';
  }
  text_ += ' ';
}

void prometheus_text::sample_as(std::string_view labels, double value) {
  begin_sample({}, labels);
  append_number(text_, value);
  text_ += '\n';
}

void prometheus_text::sample_as(std::string_view labels, std::uint64_t value) {
  begin_sample({}, labels);
  append_number(text_, value);
  text_ += '\n';
}

void prometheus_text::histogram_as(std::string_view labels, std::span<const double> bounds,
                                   std::span<const std::uint64_t> counts, double sum) {
  std::uint64_t below = 0;
  for (std::size_t i = 0; i < counts.size(); ++i) {
    below += counts[i];
    std::string bound = "+Inf";
    if (i < bounds.size()) {
      bound.clear();
      append_number(bound, bounds[i]);
    }
    begin_sample("_bucket", labels, bound);
    append_number(text_, below);
    text_ += '\n';
  }
  begin_sample("_sum", labels);
  append_number(text_, sum);
  text_ += '\n';
  begin_sample("_count", labels);
  append_number(text_, below);
  text_ += '\n';
}

}  // namespace llm_proxy
