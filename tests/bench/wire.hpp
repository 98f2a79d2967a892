#pragma once
// The bytes that bench_upstream sends and bench_load expects. Every answer has the id of its request, and
// every event also has its sequence number and the time when it was sent, so that a lost, doubled, swapped or
// changed byte is noticed. Numbers are padded with blanks, which is valid JSON. So all events of a stream are
// the same text with three holes.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <ctime>
#include <string>
#include <string_view>
#include <strings.h>

namespace bench {

/// Returns the nanoseconds of CLOCK_MONOTONIC, which is the same clock in all processes of the machine.
inline uint64_t monotonic_ns() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(now.tv_nsec);
}

inline constexpr size_t id_digits = 10;
inline constexpr size_t seq_digits = 10;
inline constexpr size_t ns_digits = 19;
inline constexpr std::string_view done_event = "data: [DONE]\n\n";
inline constexpr size_t default_event_bytes = 200;
inline constexpr size_t default_answer_bytes = 400;
inline constexpr size_t max_event_bytes = size_t{1} << 20;
inline constexpr size_t max_answer_bytes = size_t{64} << 20;

/// Writes `value` right-aligned into `width` bytes and fills the rest with `fill`.
inline void put_number(char* at, size_t width, uint64_t value, char fill) {
  size_t i = width;
  do {
    at[--i] = static_cast<char>('0' + value % 10);
    value /= 10;
  } while (value != 0 && i > 0);
  while (i > 0) at[--i] = fill;
}

/// Reads a number that put_number wrote. Returns false if the text is anything else.
inline bool get_number(const char* at, size_t width, uint64_t& value) {
  size_t i = 0;
  while (i + 1 < width && at[i] == ' ') ++i;
  value = 0;
  for (; i < width; ++i) {
    if (at[i] < '0' || at[i] > '9') return false;
    value = value * 10 + static_cast<uint64_t>(at[i] - '0');
  }
  return true;
}

/// One SSE event of a stream, or one whole JSON answer, with holes for id, sequence number and time.
struct text_with_holes {
  std::string text;
  size_t id_at = 0;
  size_t seq_at = 0;  // 0 if there is no such hole
  size_t ns_at = 0;
};

/// Returns an event of about `bytes` bytes, including `data: ` and the blank line. The `last` one has
/// finish_reason "stop".
inline text_with_holes make_event(size_t bytes, bool last) {
  text_with_holes event;
  std::string& t = event.text;
  t = "data: {\"id\":\"chatcmpl-";
  event.id_at = t.size();
  t.append(id_digits, '0');
  t += "\",\"object\":\"chat.completion.chunk\",\"created\":1700000000,\"model\":\"bench\","
       "\"choices\":[{\"index\":0,\"delta\":{\"content\":\"";
  const size_t pad_at = t.size();
  t += last ? "last\"},\"finish_reason\":\"stop\"}],\"seq\":" : " token\"},\"finish_reason\":null}],\"seq\":";
  event.seq_at = t.size();
  t.append(seq_digits, ' ');
  t += ",\"ns\":";
  event.ns_at = t.size();
  t.append(ns_digits, ' ');
  t += "}\n\n";
  if (bytes > t.size()) {
    const size_t pad = bytes - t.size();
    t.insert(pad_at, pad, 'x');
    event.seq_at += pad;
    event.ns_at += pad;
  }
  return event;
}

/// Returns a chat.completion of about `bytes` bytes.
inline text_with_holes make_answer(size_t bytes) {
  text_with_holes answer;
  std::string& t = answer.text;
  t = "{\"id\":\"chatcmpl-";
  answer.id_at = t.size();
  t.append(id_digits, '0');
  t += "\",\"object\":\"chat.completion\",\"created\":1700000000,\"model\":\"bench\","
       "\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":\"";
  const size_t pad_at = t.size();
  t += "\"},\"logprobs\":null,\"finish_reason\":\"stop\"}],"
       "\"usage\":{\"prompt_tokens\":12,\"completion_tokens\":34,\"total_tokens\":46}}";
  if (bytes > t.size()) t.insert(pad_at, bytes - t.size(), 'y');
  return answer;
}

inline void fill(char* text, const text_with_holes& holes, uint64_t id, uint64_t seq, uint64_t ns) {
  put_number(text + holes.id_at, id_digits, id, '0');
  if (holes.seq_at == 0) return;
  put_number(text + holes.seq_at, seq_digits, seq, ' ');
  put_number(text + holes.ns_at, ns_digits, ns, ' ');
}

/// Whether `text` is that template with any numbers in its holes. If so, the numbers are returned.
inline bool matches(const char* text, size_t size, const text_with_holes& holes, uint64_t& id, uint64_t& seq,
                    uint64_t& ns) {
  const std::string& want = holes.text;
  if (size != want.size()) return false;
  if (std::memcmp(text, want.data(), holes.id_at) != 0) return false;
  if (!get_number(text + holes.id_at, id_digits, id)) return false;
  size_t at = holes.id_at + id_digits;
  if (holes.seq_at != 0) {
    if (std::memcmp(text + at, want.data() + at, holes.seq_at - at) != 0) return false;
    if (!get_number(text + holes.seq_at, seq_digits, seq)) return false;
    at = holes.seq_at + seq_digits;
    if (std::memcmp(text + at, want.data() + at, holes.ns_at - at) != 0) return false;
    if (!get_number(text + holes.ns_at, ns_digits, ns)) return false;
    at = holes.ns_at + ns_digits;
  }
  return std::memcmp(text + at, want.data() + at, size - at) == 0;
}

/// Searches a head for the header `name` (in lower case, with its colon) without regard to case. Returns the
/// value without blanks around it.
inline std::string_view header_value(std::string_view head, std::string_view name) {
  size_t line = head.find("\r\n");
  while (line != std::string_view::npos && line + 2 < head.size()) {
    const size_t begin = line + 2;
    const size_t end = std::min(head.find("\r\n", begin), head.size());
    if (end - begin >= name.size() && strncasecmp(head.data() + begin, name.data(), name.size()) == 0) {
      std::string_view value = head.substr(begin + name.size(), end - begin - name.size());
      while (!value.empty() && (value.front() == ' ' || value.front() == '\t')) value.remove_prefix(1);
      while (!value.empty() && (value.back() == ' ' || value.back() == '\t')) value.remove_suffix(1);
      return value;
    }
    line = end < head.size() ? end : std::string_view::npos;
  }
  return {};
}

inline bool same_word(std::string_view a, std::string_view b) {
  return a.size() == b.size() && strncasecmp(a.data(), b.data(), a.size()) == 0;
}

}  // namespace bench
