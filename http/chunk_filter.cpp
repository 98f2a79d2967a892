#include "http/chunk_filter.hpp"

#include <bit>
#include <cstdint>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

// Why this is safe. All that the reader looks for hangs on a key: error, usage, finish_reason, or index (a
// choice without one is choice 0). A key is spelled in plain letters between quotes, or with a \u escape. So
// it is enough to look at each place where a quote comes before a first letter of these keys, wherever that
// is, and at each \u. Text that only looks like such a key costs a full reading and no more.

namespace llm_proxy {

namespace {

bool is_candidate(char first, char second) {
  if (first == '\\') return second == 'u';
  return first == '"' && (second == 'e' || second == 'f' || second == 'i' || second == 'u');
}

/// First place in [p, end) where two bytes may begin a key that matters, or end.
const char* find_candidate(const char* p, const char* end) {
#if defined(__SSE2__)
  const auto all = [](char c) { return _mm_set1_epi8(c); };
  for (; end - p > 16; p += 16) {
    const __m128i first = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
    const __m128i second = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p + 1));
    const __m128i u = _mm_cmpeq_epi8(second, all('u'));
    const __m128i letter =
        _mm_or_si128(_mm_or_si128(u, _mm_cmpeq_epi8(second, all('e'))),
                     _mm_or_si128(_mm_cmpeq_epi8(second, all('f')), _mm_cmpeq_epi8(second, all('i'))));
    const __m128i key = _mm_and_si128(_mm_cmpeq_epi8(first, all('"')), letter);
    const __m128i escape = _mm_and_si128(_mm_cmpeq_epi8(first, all('\\')), u);
    const auto mask = static_cast<unsigned>(_mm_movemask_epi8(_mm_or_si128(key, escape)));
    if (mask != 0) return p + std::countr_zero(mask);
  }
#endif
  for (; end - p >= 2; ++p) {
    if (is_candidate(p[0], p[1])) return p;
  }
  return end;
}

/// What follows `key`, its colon and a space; empty: something else does.
std::string_view value_after(std::string_view rest, std::string_view key) {
  rest.remove_prefix(key.size());
  if (rest.substr(0, 1) != ":") return {};
  rest.remove_prefix(rest.substr(0, 2) == ": " ? 2 : 1);
  return rest;
}

/// Whether `value` begins by a plain number that is a seen choice.
bool is_seen_index(std::string_view value, const choice_set& seen) {
  std::uint64_t index = 0;
  std::size_t size = 0;
  for (; size < 3 && size < value.size() && value[size] >= '0' && value[size] <= '9'; ++size) {
    index = index * 10 + static_cast<std::uint64_t>(value[size] - '0');
  }
  const bool ends = size < value.size() && (value[size] == ',' || value[size] == '}');
  return size != 0 && ends && seen.has(index);
}

}  // namespace

bool may_matter(std::string_view data, const choice_set& seen) {
  // [DONE] begins otherwise; a choice without index is choice 0.
  if (data.empty() || data.front() != '{' || !seen.has(0)) return true;
  const char* const end = data.data() + data.size();
  for (const char* p = find_candidate(data.data(), end); p != end; p = find_candidate(p + 1, end)) {
    const std::string_view rest{p, static_cast<std::size_t>(end - p)};
    const auto begins = [rest](std::string_view key) { return rest.substr(0, key.size()) == key; };
    if (rest[0] == '\\') return true;
    for (const std::string_view key : {"\"finish_reason\"", "\"usage\"", "\"error\""}) {
      if (begins(key) && value_after(rest, key).substr(0, 4) != "null") return true;
    }
    constexpr std::string_view index = "\"index\"";
    if (begins(index) && !is_seen_index(value_after(rest, index), seen)) return true;
  }
  return false;
}

}  // namespace llm_proxy
