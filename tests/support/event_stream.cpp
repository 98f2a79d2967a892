// Reads server-sent events from an answer's body.
#include "support/http_client.hpp"

#include <algorithm>
#include <utility>

namespace llm_proxy::test {

namespace {

/// Takes one line with its ending (LF, CRLF or CR) from `text`. Returns nullopt if its end has not arrived.
std::optional<std::string_view> take_line(std::string_view& text, bool at_end) {
  std::size_t end = text.find_first_of("\r\n");
  if (end == std::string_view::npos) return std::nullopt;
  std::size_t length = 1;
  if (text[end] == '\r') {
    if (end + 1 == text.size() && !at_end) {
      // A CR at the very end may be half of a CRLF; an empty line ends the event either way.
      if (end != 0) return std::nullopt;
    } else if (end + 1 < text.size() && text[end + 1] == '\n') {
      length = 2;
    }
  }
  std::string_view line = text.substr(0, end);
  text.remove_prefix(end + length);
  return line;
}

/// Reads events from `text` and returns the number of bytes that they have. An event without its blank line
/// is left.
std::size_t parse_events(std::string_view text, bool with_unfinished, std::vector<std::string>& out) {
  std::string_view rest = text;
  std::size_t taken = 0;
  std::string data;
  bool has_data = false;
  auto field = [&](std::string_view line) {
    if (line.substr(0, 4) != "data") return;
    if (line.size() > 4 && line[4] != ':') return;
    line.remove_prefix(std::min<std::size_t>(5, line.size()));
    if (!line.empty() && line.front() == ' ') line.remove_prefix(1);
    if (has_data) data += '\n';
    data += line;
    has_data = true;
  };
  while (auto line = take_line(rest, with_unfinished)) {
    if (!line->empty()) {
      field(*line);
      continue;
    }
    if (has_data) out.push_back(std::move(data));
    data.clear();
    has_data = false;
    taken = text.size() - rest.size();
  }
  if (with_unfinished) {
    if (!rest.empty()) field(rest);
    if (has_data) out.push_back(std::move(data));
  }
  return taken;
}

}  // namespace

std::vector<std::string> sse_events(std::string_view body, bool with_unfinished) {
  std::vector<std::string> events;
  parse_events(body, with_unfinished, events);
  return events;
}

std::optional<timed_event> event_stream::next(milliseconds timeout) {
  auto deadline = test_clock::now() + timeout;
  while (given_ == events_.size()) {
    auto left =
        std::chrono::ceil<milliseconds>(std::max(deadline - test_clock::now(), test_clock::duration{}));
    if (!reader_.read_more(left)) return std::nullopt;
    std::vector<std::string> fresh;
    parsed_ += parse_events(std::string_view{answer().body}.substr(parsed_), false, fresh);
    for (auto& data : fresh) events_.push_back({std::move(data), test_clock::now()});
  }
  return events_[given_++];
}

std::vector<timed_event> event_stream::rest(milliseconds timeout) {
  auto deadline = test_clock::now() + timeout;
  std::vector<timed_event> events;
  for (;;) {
    auto left =
        std::chrono::ceil<milliseconds>(std::max(deadline - test_clock::now(), test_clock::duration{}));
    auto event = next(left);
    if (!event) return events;
    events.push_back(std::move(*event));
  }
}

}  // namespace llm_proxy::test
