// Prints the results as one JSON object.
#include "load.hpp"

#include <algorithm>
#include <cstdio>
#include <string>
#include <unistd.h>

namespace bench {

namespace {

std::string quoted(std::string_view text) {
  std::string json = "\"";
  for (const char ch : text) {
    if (ch == '"' || ch == '\\') {
      json += '\\';
      json += ch;
    } else if (static_cast<unsigned char>(ch) < 0x20) {
      char code[8];
      std::snprintf(code, sizeof code, "\\u%04x", static_cast<unsigned>(ch));
      json += code;
    } else {
      json += ch;
    }
  }
  return json + "\"";
}

}  // namespace

void load::print(uint64_t settle_ns) {
  const double seconds = static_cast<double>(window_end_ - window_begin_) / static_cast<double>(second);
  const auto us_per = [](uint64_t ns, uint64_t n) {
    return n == 0 ? 0 : static_cast<double>(ns) / 1000 / static_cast<double>(n);
  };
  const uint64_t units = streaming() ? events_ : answers_;
  const double others = static_cast<double>(own_cpu_ + reference_cpu_);
  uint64_t errors = 0;
  std::string by_kind;
  for (size_t i = 0; i < wrongs_.size(); ++i) {
    errors += wrongs_[i];
    if (wrongs_[i] == 0) continue;
    if (!by_kind.empty()) by_kind += ",";
    by_kind += quoted(wrong_names[i]) + ":" + std::to_string(wrongs_[i]);
  }
  std::string samples;
  for (const auto& sample : samples_) samples += (samples.empty() ? "" : ",") + quoted(sample);
  std::string json = "{\"scenario\":" + quoted(options_.name);
  for (const auto& [name, value] : options_.tags) json += "," + quoted(name) + ":" + quoted(value);
  const auto number = [&](const char* name, uint64_t value) {
    json += ",\"" + std::string(name) + "\":" + std::to_string(value);
  };
  const auto real = [&](const char* name, double value) {
    char text[40];
    std::snprintf(text, sizeof text, "%.4f", value);
    json += ",\"" + std::string(name) + "\":" + text;
  };
  number("connections", options_.connections);
  number("events_per_stream", streaming() ? options_.events : 0);
  number("delay_ms", options_.delay_ms);
  real("seconds", seconds);
  number("errors", errors);
  json += ",\"errors_by_kind\":{" + by_kind + "},\"samples\":[" + samples + "]";
  number("all_answers", all_answers_);
  number("all_events", all_events_);
  number("connects", connects_);
  number("idle_closes", idle_closes_);
  number("abandoned", abandoned_);
  number("stalls_over_100ms", stalls_);  // within the window; the next line counts those outside
  number("stalls_outside", stalls_outside_);
  number("peak_open_streams", peak_open_);
  number("answers", answers_);
  number("events", events_);
  real("answers_per_s", static_cast<double>(answers_) / seconds);
  real("events_per_s", static_cast<double>(events_) / seconds);
  if (streaming() && options_.delay_ms != 0)
    real("pace", static_cast<double>(events_) * static_cast<double>(options_.delay_ms) / 1000 / seconds /
                     static_cast<double>(options_.connections));
  real("mib_per_s", static_cast<double>(bytes_) / 1048576 / seconds);
  real("events_per_read", reads_ == 0 ? 0 : static_cast<double>(events_) / static_cast<double>(reads_));
  json += ",\"latency_us\":" + latency_.json() + ",\"first_event_us\":" + first_event_.json() +
          ",\"event_latency_us\":" + event_latency_.json();
  real("cpu_us", us_per(cpu_, units));  // CPU time of the service per request or event
  real("load_cpu_us", us_per(own_cpu_, units));
  real("upstream_cpu_us", us_per(reference_cpu_, units));
  real("cpu_share", others == 0 ? 0 : static_cast<double>(cpu_) / others);
  real("cores", static_cast<double>(cpu_) / 1e9 / seconds);
  real("load_cores", static_cast<double>(own_cpu_) / 1e9 / seconds);
  real("upstream_cores", static_cast<double>(reference_cpu_) / 1e9 / seconds);
  const auto per_s = static_cast<double>(sysconf(_SC_CLK_TCK)) * seconds;
  const double ours = (others + static_cast<double>(cpu_)) / 1e9 / seconds;
  real("other_cores",
       std::max(0.0, static_cast<double>(machine_.busy) / per_s - ours));  // used by other programs
  real("stolen_cores", static_cast<double>(machine_.stolen) / per_s);
  const auto ticks = static_cast<double>(ticks_.first + ticks_.second);
  real("system_share", ticks == 0 ? 0 : static_cast<double>(ticks_.second) / ticks);
  json += ",\"before\":" + before_.json() + ",\"during\":" + during_.json() + ",\"after\":" + after_.json();
  const double grown = static_cast<double>(during_.rss_kib) - static_cast<double>(before_.rss_kib);
  if (options_.kind == scenario::hold)
    real("kib_per_stream", grown / static_cast<double>(options_.connections));
  real("settle_s", static_cast<double>(settle_ns) / 1e9);
  std::printf("%s}\n", json.c_str());
}

}  // namespace bench
