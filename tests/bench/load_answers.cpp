// Checks the answers: their framing, their order, that they are complete, and every byte.
#include "load.hpp"

#include <algorithm>
#include <cstdlib>
#include <cstring>

namespace bench {

/// Reads bytes of an answer. Returns false if the answer is wrong; then the connection has been closed.
bool load::consume(connection& c, const char* p, const char* end) {
  while (p < end) {
    const auto left = static_cast<size_t>(end - p);
    switch (c.at) {
      case part::head: {
        size_t used = left;
        std::string_view head(p, left);
        size_t stop = 0;
        if (c.line.empty()) {
          stop = head.find("\r\n\r\n");
          if (stop != std::string_view::npos) used = stop + 4;
        } else {
          const size_t had = c.line.size();
          c.line.append(p, left);
          head = c.line;
          stop = head.find("\r\n\r\n", had > 3 ? had - 3 : 0);
          if (stop != std::string_view::npos) used = stop + 4 - had;
        }
        if (stop == std::string_view::npos) {
          if (head.size() > 65536) return fail(c, wrong::head);
          if (c.line.empty()) c.line.assign(p, left);
          return true;
        }
        p += used;
        if (!take_head(c, head.substr(0, stop + 2))) return false;
        c.line.clear();
        break;
      }
      case part::counted: {
        const size_t n = std::min<uint64_t>(c.rest, left);
        if (!take_payload(c, p, n)) return false;
        c.rest -= n;
        p += n;
        if (c.rest == 0) {
          if (!finish_answer(c)) return false;
          c.at = part::whole;
        }
        break;
      }
      case part::chunk_size:
      case part::trailer: {
        const auto* newline = static_cast<const char*>(std::memchr(p, '\n', left));
        const char* stop = newline != nullptr ? newline + 1 : end;
        c.line.append(p, stop);
        p = stop;
        if (c.line.size() > 4096) return fail(c, wrong::framing);
        if (newline == nullptr) return true;
        if (c.line.size() < 2 || !c.line.ends_with("\r\n")) return fail(c, wrong::framing);
        if (c.at == part::trailer) {
          if (c.line.size() == 2) {
            if (!finish_answer(c)) return false;
            c.at = part::whole;
          }
        } else {
          char* after = nullptr;
          c.rest = std::strtoull(c.line.c_str(), &after, 16);
          if (after == c.line.c_str() || (*after != '\r' && *after != ';')) return fail(c, wrong::framing);
          c.at = c.rest == 0 ? part::trailer : part::chunk_data;
        }
        c.line.clear();
        break;
      }
      case part::chunk_data: {
        const size_t n = std::min<uint64_t>(c.rest, left);
        if (!take_payload(c, p, n)) return false;
        c.rest -= n;
        p += n;
        if (c.rest == 0) {
          c.at = part::chunk_end;
          c.rest = 2;
        }
        break;
      }
      case part::chunk_end:
        if (*p != (c.rest == 2 ? '\r' : '\n')) return fail(c, wrong::framing);
        ++p;
        if (--c.rest == 0) c.at = part::chunk_size;
        break;
      case part::whole:
        return fail(c, wrong::extra_bytes);
    }
  }
  return true;
}

bool load::take_head(connection& c, std::string_view head) {
  if (head.size() < 15 || !head.starts_with("HTTP/1.1 ")) return fail(c, wrong::head);
  if (head.substr(9, 3) != "200") {
    if (samples_.size() < 5) samples_.emplace_back(head.substr(0, head.find("\r\n")));
    return fail(c, wrong::status);
  }
  c.closes = same_word(header_value(head, "connection:"), "close");
  const std::string_view type = header_value(head, "content-type:");
  if (!type.starts_with(streaming() ? "text/event-stream" : "application/json"))
    return fail(c, wrong::content_type);
  const std::string_view length = header_value(head, "content-length:");
  const std::string_view coding = header_value(head, "transfer-encoding:");
  if (same_word(coding, "chunked") && length.empty()) {
    c.at = part::chunk_size;
    return true;
  }
  if (!coding.empty() || length.empty()) return fail(c, wrong::framing);
  char* after = nullptr;
  c.rest = std::strtoull(length.data(), &after, 10);
  if (after != length.data() + length.size() || c.rest == 0) return fail(c, wrong::framing);
  c.at = part::counted;
  return true;
}

/// Reads bytes of the body, without framing.
bool load::take_payload(connection& c, const char* p, size_t n) {
  if (!streaming()) {
    c.payload.append(p, n);
    return true;
  }
  std::string_view bytes(p, n);
  if (!c.payload.empty()) {
    const size_t had = c.payload.size();
    c.payload.append(bytes);
    const size_t stop = c.payload.find("\n\n", had - 1);
    if (stop == std::string::npos)
      return c.payload.size() <= 2 * max_event_bytes || fail(c, wrong::event_text);
    bytes.remove_prefix(stop + 2 - had);
    if (!take_event(c, std::string_view(c.payload).substr(0, stop + 2))) return false;
    c.payload.clear();
  }
  while (!bytes.empty()) {
    const size_t stop = bytes.find("\n\n");
    if (stop == std::string_view::npos) {
      c.payload.assign(bytes);
      return true;
    }
    if (!take_event(c, bytes.substr(0, stop + 2))) return false;
    bytes.remove_prefix(stop + 2);
  }
  return true;
}

bool load::take_event(connection& c, std::string_view event) {
  if (c.has_done) return fail(c, wrong::event_after_end);
  if (event == done_event) {
    if (c.next_seq != c.events) return fail(c, wrong::no_stop);
    c.has_done = true;
    return true;
  }
  if (c.next_seq >= c.events) return fail(c, wrong::event_after_end);
  uint64_t id = 0;
  uint64_t seq = 0;
  uint64_t sent = 0;
  const bool last = c.next_seq + 1 == c.events;
  if (!matches(event.data(), event.size(), last ? last_event_ : event_, id, seq, sent)) {
    if (samples_.size() < 5) samples_.emplace_back(event.substr(0, 400));
    if (event.starts_with("data: {\"error\"")) return fail(c, wrong::error_event);
    if (matches(event.data(), event.size(), last ? event_ : last_event_, id, seq, sent))
      return fail(c, last && seq == c.next_seq ? wrong::no_stop : wrong::event_order);
    return fail(c, wrong::event_text);
  }
  if (id != c.id) return fail(c, wrong::event_id);
  if (seq != c.next_seq) return fail(c, wrong::event_order);
  ++c.next_seq;
  ++all_events_;
  const uint64_t took = arrival_ > sent ? arrival_ - sent : 0;
  if (took > stall_ns) ++(measuring_ ? stalls_ : stalls_outside_);
  if (!c.first_seen) {
    c.first_seen = true;
    opened(c);
    peak_open_ = std::max(peak_open_, ++streams_open_);
    if (measuring_ || options_.kind == scenario::hold) first_event_.add(arrival_ - c.asked);
  }
  if (measuring_) {
    ++events_;
    event_latency_.add(took);
  }
  return true;
}

bool load::finish_answer(connection& c) {
  if (streaming()) return finish_stream(c);
  uint64_t id = 0;
  uint64_t seq = 0;
  uint64_t ns = 0;
  if (!matches(c.payload.data(), c.payload.size(), answer_, id, seq, ns)) {
    if (samples_.size() < 5) samples_.emplace_back(c.payload.substr(0, 400));
    return fail(c, wrong::answer_text);
  }
  if (id != c.id) return fail(c, wrong::answer_id);
  opened(c);
  return true;
}

bool load::finish_stream(connection& c) {
  if (!c.payload.empty() || c.next_seq != c.events) return fail(c, wrong::incomplete);
  if (!c.has_done) return fail(c, wrong::no_done);
  --streams_open_;
  c.first_seen = false;
  return true;
}

}  // namespace bench
