#include "config/access_log.hpp"

#include "config/line_formatter.hpp"

#include <spdlog/logger.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <concepts>

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

/// A field's name as a template argument, so that the compiler joins it with the characters around it.
template <std::size_t Size>
struct field_name {
  consteval field_name(const char (&text)[Size]) { std::copy_n(text, Size, characters.data()); }
  static constexpr std::size_t length = Size - 1;  // without its NUL
  std::array<char, Size> characters{};
};

template <field_name Name, std::size_t Before, std::size_t After>
consteval auto framed(const char (&before)[Before], const char (&after)[After]) {
  std::array<char, Before - 1 + Name.length + After - 1> text{};
  auto* at = std::copy_n(before, Before - 1, text.data());
  at = std::copy_n(Name.characters.data(), Name.length, at);
  std::copy_n(after, After - 1, at);
  return text;
}

/// Writes `,"name":value`. A missing value is null, so that every line has every field, except for trace_id.
class json_fields {
 public:
  explicit json_fields(spdlog::memory_buf_t& out) : out_{out} {}

  template <field_name Name>
  void add(std::string_view text) {
    begin<Name>();
    out_.push_back('"');
    const auto [head, cut] = cut_for_log(text);
    append_json_escaped(out_, head);
    append(out_, cut ? "...\"" : "\"");
  }
  template <field_name Name>
  void add(bool value) {
    begin<Name>();
    append(out_, value ? "true" : "false");
  }
  template <field_name Name>
  void add(number n) {
    begin<Name>();
    n.value < 0 ? append(out_, "null") : append_number(out_, n.value);
  }
  template <field_name Name>
  void add(duration_ms d) {
    begin<Name>();
    d.value < 0 ? append(out_, "null") : append_ms(out_, d.value);
  }

 private:
  template <field_name Name>
  void begin() {
    static constexpr auto key = framed<Name>(",\"", "\":");
    append(out_, {key.data(), key.size()});
  }

  spdlog::memory_buf_t& out_;
};

/// Writes ` name=value`. A missing value is left out.
class text_fields {
 public:
  explicit text_fields(spdlog::memory_buf_t& out) : out_{out} {}

  template <field_name Name>
  void add(std::string_view text) {
    if (text.empty()) return;
    begin<Name>();
    const auto [head, cut] = cut_for_log(text);
    const bool bare = head.find_first_of(" =\"\\") == std::string_view::npos;
    if (!bare) out_.push_back('"');
    append_text_escaped(out_, head, true);
    if (cut) append(out_, "...");
    if (!bare) out_.push_back('"');
  }
  template <field_name Name>
  void add(bool value) {
    begin<Name>();
    append(out_, value ? "true" : "false");
  }
  template <field_name Name>
  void add(number n) {
    if (n.value < 0) return;
    begin<Name>();
    append_number(out_, n.value);
  }
  template <field_name Name>
  void add(duration_ms d) {
    if (d.value < 0) return;
    begin<Name>();
    append_ms(out_, d.value);
  }

 private:
  template <field_name Name>
  void begin() {
    static constexpr auto key = framed<Name>(" ", "=");
    append(out_, {key.data(), key.size()});
  }

  spdlog::memory_buf_t& out_;
};

template <class Fields>
void add_all(Fields fields, const access_record& r) {
  fields.template add<"id">(r.id);
  fields.template add<"method">(r.method);
  fields.template add<"path">(r.path);
  fields.template add<"status">(number{r.status});
  fields.template add<"verdict">(r.verdict);
  fields.template add<"key">(r.key);
  fields.template add<"model">(r.model);
  fields.template add<"stream">(r.stream);
  fields.template add<"ms">(duration_ms{std::max(r.ms, 0.0)});
  fields.template add<"first_byte_ms">(duration_ms{r.first_byte_ms});
  fields.template add<"chunks">(number{as_signed(r.chunks)});
  fields.template add<"bytes_in">(number{as_signed(r.bytes_in)});
  fields.template add<"bytes_out">(number{as_signed(r.bytes_out)});
  fields.template add<"prompt_tokens">(number{r.prompt_tokens});
  fields.template add<"completion_tokens">(number{r.completion_tokens});
  fields.template add<"detail">(r.detail);
  if (!r.trace_id.empty()) fields.template add<"trace_id">(r.trace_id);
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
