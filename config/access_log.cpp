#include "config/access_log.hpp"

#include "config/line_formatter.hpp"

#include <spdlog/logger.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

namespace llm_proxy {
namespace {

spdlog::logger* access_logger = nullptr;
log_format access_format = log_format::text;

void append_number(spdlog::memory_buf_t& out, std::int64_t number) {
  std::array<char, 24> digits{};
  const auto* const end = std::to_chars(digits.data(), digits.data() + digits.size(), number).ptr;
  append(out, {digits.data(), static_cast<std::size_t>(end - digits.data())});
}

/// Appends milliseconds with three decimals. NaN, infinity and values below 0 count as 0. This is ten times
/// cheaper than printing a double.
void append_ms(spdlog::memory_buf_t& out, double ms) {
  const auto us = static_cast<std::int64_t>(std::isfinite(ms) ? std::clamp(ms * 1000 + 0.5, 0.0, 1e15) : 0.0);
  append_number(out, us / 1000);
  const std::array<char, 4> decimals{'.', static_cast<char>('0' + us / 100 % 10),
                                     static_cast<char>('0' + us / 10 % 10), static_cast<char>('0' + us % 10)};
  append(out, {decimals.data(), decimals.size()});
}

std::int64_t as_signed(std::uint64_t number) {
  return static_cast<std::int64_t>(std::min<std::uint64_t>(number, INT64_MAX));
}

/// A quantity that may be missing.
struct number {
  std::int64_t value;
};
struct duration_ms {
  double value;
};

/// Writes `,"name":value`. A missing value is null, so that every line has every field, except for trace_id.
class json_fields {
 public:
  explicit json_fields(spdlog::memory_buf_t& out) : out_{out} {}

  void add(std::string_view name, std::string_view text) {
    begin(name);
    out_.push_back('"');
    const auto [head, cut] = cut_for_log(text);
    append_json_escaped(out_, head);
    append(out_, cut ? "...\"" : "\"");
  }
  void add(std::string_view name, bool value) {
    begin(name);
    append(out_, value ? "true" : "false");
  }
  void add(std::string_view name, number n) {
    begin(name);
    n.value < 0 ? append(out_, "null") : append_number(out_, n.value);
  }
  void add(std::string_view name, duration_ms d) {
    begin(name);
    d.value < 0 ? append(out_, "null") : append_ms(out_, d.value);
  }

 private:
  void begin(std::string_view name) {
    append(out_, ",\"");
    append(out_, name);
    append(out_, "\":");
  }

  spdlog::memory_buf_t& out_;
};

/// Writes ` name=value`. A missing value is left out.
class text_fields {
 public:
  explicit text_fields(spdlog::memory_buf_t& out) : out_{out} {}

  void add(std::string_view name, std::string_view text) {
    if (text.empty()) return;
    begin(name);
    const auto [head, cut] = cut_for_log(text);
    const bool bare = head.find_first_of(" =\"\\") == std::string_view::npos;
    if (!bare) out_.push_back('"');
    append_text_escaped(out_, head, true);
    if (cut) append(out_, "...");
    if (!bare) out_.push_back('"');
  }
  void add(std::string_view name, bool value) {
    begin(name);
    append(out_, value ? "true" : "false");
  }
  void add(std::string_view name, number n) {
    if (n.value < 0) return;
    begin(name);
    append_number(out_, n.value);
  }
  void add(std::string_view name, duration_ms d) {
    if (d.value < 0) return;
    begin(name);
    append_ms(out_, d.value);
  }

 private:
  void begin(std::string_view name) {
    out_.push_back(' ');
    append(out_, name);
    out_.push_back('=');
  }

  spdlog::memory_buf_t& out_;
};

template <class Fields>
void add_all(Fields fields, const access_record& r) {
  fields.add("id", r.id);
  fields.add("method", r.method);
  fields.add("path", r.path);
  fields.add("status", number{r.status});
  fields.add("verdict", r.verdict);
  fields.add("key", r.key);
  fields.add("model", r.model);
  fields.add("stream", r.stream);
  fields.add("ms", duration_ms{std::max(r.ms, 0.0)});
  fields.add("first_byte_ms", duration_ms{r.first_byte_ms});
  fields.add("chunks", number{as_signed(r.chunks)});
  fields.add("bytes_in", number{as_signed(r.bytes_in)});
  fields.add("bytes_out", number{as_signed(r.bytes_out)});
  fields.add("prompt_tokens", number{r.prompt_tokens});
  fields.add("completion_tokens", number{r.completion_tokens});
  fields.add("detail", r.detail);
  if (!r.trace_id.empty()) fields.add("trace_id", r.trace_id);
}

/// The lines of this thread that are not yet queued.
struct pending_lines {
  spdlog::memory_buf_t bytes;
  spdlog::memory_buf_t fields;  // of the current line; a member to reuse its memory
  line_formatter frame{log_format::text};
  log_format format = log_format::text;
  bool gathers = false;
};

pending_lines& pending() {
  thread_local pending_lines lines;
  return lines;
}

/// Handing one message to the writer costs about as much as formatting several lines.
constexpr std::size_t most_gathered = 32 * 1024;

}  // namespace

void log_access(const access_record& record) {
  spdlog::logger* logger = access_logger;
  if (logger == nullptr || !logger->should_log(spdlog::level::info)) return;
  auto& lines = pending();
  if (lines.format != access_format) {
    lines.format = access_format;
    lines.frame = line_formatter{access_format};
  }
  auto& fields = lines.fields;
  fields.clear();
  if (access_format == log_format::json)
    add_all(json_fields{fields}, record);
  else
    add_all(text_fields{fields}, record);
  lines.frame.add_request(spdlog::log_clock::now(), {fields.data(), fields.size()}, lines.bytes);
  if (!lines.gathers || lines.bytes.size() > most_gathered) flush_access_log();
}

void gather_access_log() {
  pending().gathers = true;
}

void flush_access_log() {
  auto& lines = pending();
  if (lines.bytes.size() == 0) return;
  if (spdlog::logger* logger = access_logger) {
    logger->log(spdlog::level::info, spdlog::string_view_t{lines.bytes.data(), lines.bytes.size()});
  }
  lines.bytes.clear();
}

void set_access_logger(spdlog::logger* logger, log_format format) {
  access_logger = logger;
  access_format = format;
}

}  // namespace llm_proxy
