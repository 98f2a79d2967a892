#include "http/wire/trace_context.hpp"

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <random>

namespace llm_proxy {

namespace {

constexpr std::size_t version_00_size = 55;

bool is_hex(std::string_view text) {
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

bool is_zero(std::string_view text) {
  return text.find_first_not_of('0') == std::string_view::npos;
}

/// Fills sixteen digits at a time. The result is never all zeros.
template <std::size_t Size>
void fill_at_random(std::array<char, Size>& id) {
  // An id has to be unique, but not secret.
  thread_local std::mt19937_64 random{[] {
    std::random_device device;
    std::seed_seq seed{device(), device(), device(), device()};
    return std::mt19937_64{seed};
  }()};
  constexpr std::string_view digits = "0123456789abcdef";
  do {
    for (std::size_t i = 0; i < Size; i += 16) {
      auto bits = random();
      for (std::size_t j = 0; j < 16; ++j, bits >>= 4) id[i + j] = digits[bits & 15];
    }
  } while (is_zero({id.data(), id.size()}));
}

}  // namespace

std::optional<trace_context> parse_traceparent(std::string_view value) {
  if (value.size() < version_00_size) return std::nullopt;
  const auto version = value.substr(0, 2);
  const auto trace = value.substr(3, 32);
  const auto span = value.substr(36, 16);
  const auto flags = value.substr(53, 2);
  if (value[2] != '-' || value[35] != '-' || value[52] != '-') return std::nullopt;
  if (!is_hex(version) || !is_hex(trace) || !is_hex(span) || !is_hex(flags)) return std::nullopt;
  if (version == "ff" || is_zero(trace) || is_zero(span)) return std::nullopt;
  if (value.size() > version_00_size && (version == "00" || value[version_00_size] != '-'))
    return std::nullopt;
  trace_context read;
  std::copy(trace.begin(), trace.end(), read.trace.begin());
  std::copy(span.begin(), span.end(), read.span.begin());
  const auto low = flags[1] <= '9' ? flags[1] - '0' : flags[1] - 'a' + 10;
  read.sampled = (low & 1) != 0;
  return read;
}

std::string format_traceparent(const trace_context& context) {
  std::string text;
  text.reserve(version_00_size);
  text.append("00-").append(context.trace_id()).append("-").append(context.span_id());
  text.append(context.sampled ? "-01" : "-00");
  return text;
}

bool trace_sampler::samples(const trace_context* parent, std::string_view trace_id) const {
  if (parent_based && parent != nullptr) return parent->sampled;
  if (how != root::ratio) return how == root::always_on;
  if (ratio >= 1) return true;
  // Like OpenTelemetry's SDKs, this uses the upper 63 of the id's last 64 bits.
  constexpr double all = 9223372036854775808.0;
  const auto last = trace_id.substr(16);
  std::uint64_t number = 0;
  std::from_chars(last.data(), last.data() + last.size(), number, 16);
  return (number >> 1) < static_cast<std::uint64_t>(ratio * all);
}

begun_span begin_span(const header_list& headers, const trace_sampler& sampler) {
  constexpr std::string_view name = "traceparent";
  begun_span span;
  // If there are two, nobody can tell which is right.
  if (const auto given = headers.find(name); given && headers.count(name) == 1) {
    span.parent = parse_traceparent(*given);
  }
  if (span.parent) {
    span.own.trace = span.parent->trace;
  } else {
    fill_at_random(span.own.trace);
  }
  fill_at_random(span.own.span);
  span.own.sampled = sampler.samples(span.parent ? &*span.parent : nullptr, span.own.trace_id());
  return span;
}

}  // namespace llm_proxy
