// Reads the requests to bench_upstream, and writes the answers.
#include "upstream.hpp"

#include <algorithm>
#include <cstdlib>
#include <iterator>
#include <sys/socket.h>

namespace bench {

/// Returns the number after `"name":` in a body, or `otherwise` if there is none.
uint64_t number_in(std::string_view body, std::string_view name, uint64_t otherwise) {
  size_t at = body.find(name);
  if (at == std::string_view::npos) return otherwise;
  at += name.size();
  while (at < body.size() && (body[at] == ' ' || body[at] == ':')) ++at;
  uint64_t value = 0;
  const size_t begin = at;
  while (at < body.size() && body[at] >= '0' && body[at] <= '9' && at - begin < 18)
    value = value * 10 + static_cast<uint64_t>(body[at++] - '0');
  return at > begin ? value : otherwise;
}

/// Returns the word after `"name":`, without quotes.
std::string_view word_in(std::string_view body, std::string_view name) {
  size_t at = body.find(name);
  if (at == std::string_view::npos) return {};
  at += name.size();
  while (at < body.size() && (body[at] == ' ' || body[at] == ':' || body[at] == '"')) ++at;
  size_t end = at;
  while (end < body.size() && ((body[end] >= 'a' && body[end] <= 'z') || body[end] == '_')) ++end;
  return body.substr(at, end - at);
}

fault fault_named(std::string_view name) {
  const auto* found = std::find(std::begin(fault_names), std::end(fault_names), name);
  return found == std::end(fault_names) ? fault::none : static_cast<fault>(found - std::begin(fault_names));
}

/// Decodes a whole chunked body that starts at `in[at]`. Returns the position after it, or npos if its end
/// has not arrived.
size_t decode_chunks(std::string_view in, size_t at, std::string& body) {
  body.clear();
  for (;;) {
    const size_t line = in.find("\r\n", at);
    if (line == std::string_view::npos) return line;
    const size_t size = std::strtoul(std::string(in.substr(at, line - at)).c_str(), nullptr, 16);
    at = line + 2;
    if (in.size() < at + size + 2) return std::string_view::npos;
    body.append(in.substr(at, size));
    at += size + 2;
    if (size == 0) return at;
  }
}

/// Handles the first request in `c.in`. Returns false if it is not whole yet.
bool upstream::take_request(connection& c) {
  const std::string_view in = c.in;
  const size_t head_end = in.find("\r\n\r\n");
  if (head_end == std::string_view::npos) return false;
  const std::string_view head = in.substr(0, head_end);
  const size_t body_at = head_end + 4;
  std::string decoded;
  std::string_view body;
  size_t end = body_at;
  if (same_word(header_value(head, "transfer-encoding:"), "chunked")) {
    end = decode_chunks(in, body_at, decoded);
    if (end == std::string_view::npos) return false;
    body = decoded;
  } else if (const auto length = header_value(head, "content-length:"); !length.empty()) {
    const size_t size = std::strtoul(std::string(length).c_str(), nullptr, 10);
    if (in.size() < body_at + size) {
      c.in.reserve(body_at + size);
      if (in.size() == body_at && !header_value(head, "expect:").empty())
        send(c.fd, "HTTP/1.1 100 Continue\r\n\r\n", 25, MSG_NOSIGNAL);
      return false;
    }
    body = in.substr(body_at, size);
    end = body_at + size;
  }
  ++stats_.requests;
  c.closes = same_word(header_value(head, "connection:"), "close") ||
             head.substr(0, head.find("\r\n")).ends_with("HTTP/1.0");
  const std::string_view target = head.substr(0, head.find(" HTTP/"));
  if (target == "POST /v1/chat/completions" || target == "POST /chat/completions") {
    c.taking = true;
    chat(c, body);
    c.taking = false;
  } else if (target == "GET /v1/models" || target == "GET /models") {
    answer(
        c, "200 OK", "application/json",
        R"({"object":"list","data":[{"id":"bench","object":"model","created":1700000000,"owned_by":"bench"}]})");
  } else if (target == "GET /model/info" || target == "GET /v1/model/info") {
    answer(
        c, "200 OK", "application/json",
        R"({"data":[{"model_name":"bench","litellm_params":{"model":"openai/bench"},"model_info":{"id":"bench",)"
        R"("max_input_tokens":4096,"litellm_provider":"openai"}}]})");
  } else if (target.starts_with("GET /health")) {
    answer(c, "200 OK", "application/json", "\"I'm alive!\"");
  } else if (target == "GET /bench/stats") {
    answer(c, "200 OK", "application/json", stats_json());
  } else {
    ++stats_.bad_requests;
    answer(c, "404 Not Found", "application/json",
           R"({"error":{"message":"not found","type":"None","code":"404"}})");
  }
  if (c.fd < 0) return false;
  if (end == c.in.size()) {
    if (c.in.capacity() > 4096) {
      c.in = std::string();
    } else {
      c.in.clear();
    }
  } else {
    c.in.erase(0, end);
  }
  return true;
}

void upstream::chat(connection& c, std::string_view body) {
  // Our fields are at the end of the body, so a long prompt need not be searched.
  const std::string_view tail = body.size() > 1024 ? body.substr(body.size() - 1024) : body;
  c.id = number_in(tail, "\"bench_id\"", 0);
  c.count = std::max<uint64_t>(1, number_in(tail, "\"max_tokens\"", options_.events));
  c.period = number_in(tail, "\"bench_delay_ms\"", options_.delay_ms) * 1'000'000;
  c.batch = std::clamp<uint64_t>(number_in(tail, "\"bench_batch\"", options_.batch), 1, 1024);
  c.answer_bytes =
      std::min<uint64_t>(number_in(tail, "\"bench_answer_bytes\"", default_answer_bytes), max_answer_bytes);
  c.seq = 0;
  c.broken = fault_named(word_in(tail, "\"bench_fault\""));
  ++chats_;
  if (options_.fault_every != 0 && chats_ % options_.fault_every == 0) c.broken = options_.broken;
  if (c.broken == fault::status)
    return answer(c, "500 Internal Server Error", "application/json",
                  R"({"error":{"message":"broken on purpose","type":"None","code":"500"}})");
  if (word_in(tail, "\"stream\"") == "true") {
    const size_t bytes =
        std::min<uint64_t>(number_in(tail, "\"bench_event_bytes\"", default_event_bytes), max_event_bytes);
    c.texts = &texts(bytes);
    return start_stream(c);
  }
  if (c.period == 0) return answer_chat(c);
  c.now = phase::waiting;
  c.due = monotonic_ns() + c.period;
  wheel_.add(c);
}

void upstream::answer(connection& c, std::string_view status, std::string_view type, std::string_view body) {
  scratch_ = "HTTP/1.1 ";
  scratch_.append(status).append(
      "\r\ndate: Thu, 01 Jan 2026 00:00:00 GMT\r\nserver: uvicorn\r\ncontent-length: ");
  scratch_.append(std::to_string(body.size())).append("\r\ncontent-type: ").append(type);
  scratch_.append("\r\nx-litellm-call-id: 00000000-0000-4000-8000-000000000000\r\n");
  if (c.closes) scratch_.append("connection: close\r\n");
  scratch_.append("\r\n").append(body);
  c.now = phase::reading;
  if (flush(c, scratch_) && c.closes) close(c);
}

void upstream::answer_chat(connection& c) {
  static std::map<size_t, text_with_holes> answers;
  auto& text = answers[c.answer_bytes];
  if (text.text.empty()) text = make_answer(c.answer_bytes);
  fill(text.text.data(), text, c.broken == fault::wrong_id ? c.id + 1 : c.id, 0, 0);
  std::string_view body = text.text;
  ++stats_.answers;
  if (c.broken == fault::none || c.broken == fault::wrong_id) {
    answer(c, "200 OK", "application/json", body);
  } else if (c.broken == fault::corrupt) {
    std::string other(body);
    other[other.size() / 2] ^= 1;
    answer(c, "200 OK", "application/json", other);
  } else if (c.broken == fault::stall) {
    c.now = phase::waiting;
  } else {  // the head and half of the body
    c.closes = false;
    const std::string head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: " +
                             std::to_string(body.size()) + "\r\n\r\n" +
                             std::string(body.substr(0, body.size() / 2));
    send(c.fd, head.data(), head.size(), MSG_NOSIGNAL);
    c.now = phase::reading;
    return close(c);
  }
  if (c.fd >= 0 && c.now == phase::reading && !c.in.empty() && c.period != 0) handle_input(c);
}

const event_texts& upstream::texts(size_t bytes) {
  auto& both = texts_[bytes];
  if (both.more.text.empty()) {
    for (const bool last : {false, true}) {
      auto event = make_event(bytes, last);
      char size[24];
      const auto n = static_cast<size_t>(std::snprintf(size, sizeof size, "%zx\r\n", event.text.size()));
      event.text.insert(0, size).append("\r\n");
      event.id_at += n;
      event.seq_at += n;
      event.ns_at += n;
      (last ? both.last : both.more) = std::move(event);
    }
  }
  return both;
}

/// Sends the head together with the first event, as LiteLLM does.
void upstream::start_stream(connection& c) {
  c.now = phase::streaming;
  ++stats_.streams_started;
  scratch_ =
      "HTTP/1.1 200 OK\r\ndate: Thu, 01 Jan 2026 00:00:00 GMT\r\nserver: uvicorn\r\n"
      "content-type: text/event-stream; charset=utf-8\r\ncache-control: no-cache\r\n"
      "x-litellm-call-id: 00000000-0000-4000-8000-000000000000\r\ntransfer-encoding: chunked\r\n";
  if (c.closes) scratch_ += "connection: close\r\n";
  scratch_ += "\r\n";
  append_event(c, scratch_);
  const uint64_t now = monotonic_ns();
  // The second event comes after 0.5 to 1.5 periods, so that streams that were opened together do not send at
  // the same times.
  random_ ^= random_ << 13;
  random_ ^= random_ >> 7;
  random_ ^= random_ << 17;
  c.due = now + c.period / 2 + (c.period != 0 ? random_ % c.period : 0);
  if (!flush(c, scratch_) && c.fd < 0) return;
  if (c.seq >= c.count) {
    finish(c);
  } else if (c.period != 0) {
    wheel_.add(c);
  } else if (!c.watches_output) {
    c.in_ready = true;
    ready_.push_back(&c);
  }
}

/// Appends the next event and increments `c.seq`. After the last event it also appends the end of the stream.
void upstream::append_event(connection& c, std::string& to) {
  const bool last = c.seq + 1 >= c.count;
  const bool here = c.broken != fault::none && c.seq == c.count / 2;
  const auto& event = last && c.broken != fault::no_stop ? c.texts->last : c.texts->more;
  const size_t at = to.size();
  uint64_t seq = c.seq++;
  if (here && c.broken == fault::skip && !last) seq = c.seq++;
  to.append(event.text);
  if (here && c.broken == fault::swap) seq ^= 1;
  fill(to.data() + at, event, here && c.broken == fault::wrong_id ? c.id + 1 : c.id, seq, monotonic_ns());
  if (here && c.broken == fault::corrupt) to[at + event.id_at + 20] ^= 1;
  if (here && c.broken == fault::twice) to.append(std::string(to, at));
  if (here && c.broken == fault::bad_chunk) to.append("zz\r\n");
  ++stats_.events;
  if (!last) return;
  if (c.broken != fault::no_done) to.append("e\r\n").append(done_event).append("\r\n");
  if (c.broken != fault::no_zero) to.append("0\r\n\r\n");
}

void upstream::send_due(connection& c, uint64_t now) {
  if (now > c.due + 10'000'000) ++stats_.behind;
  if (c.broken != fault::none && c.seq > c.count / 2) {
    if (c.broken == fault::stall) return;
    if (c.broken == fault::cut) return close(c);
    if (c.broken == fault::reset) {
      const linger hard{1, 0};
      setsockopt(c.fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
      return close(c);
    }
  }
  c.due = std::max(c.due + c.period,
                   now > 1'000'000'000 ? now - 1'000'000'000 : 0);  // a stream catches up by at most 1 s
  if (c.out.size() < 65536) {                                       // a peer that does not read gets no more
    scratch_.clear();
    append_event(c, scratch_);
    if (!flush(c, scratch_) && c.fd < 0) return;
    if (c.seq >= c.count) return finish(c);
  }
  wheel_.add(c);
}

void upstream::send_unpaced(connection& c) {
  for (int turn = 0; turn < 32; ++turn) {
    if (c.seq >= c.count) return finish(c);
    if (c.broken != fault::none && c.seq > c.count / 2) {
      if (c.broken == fault::stall) return;
      if (c.broken == fault::cut || c.broken == fault::reset) return close(c);
    }
    scratch_.clear();
    for (uint64_t i = 0; i < c.batch && c.seq < c.count; ++i) append_event(c, scratch_);
    if (!flush(c, scratch_)) {
      if (c.fd >= 0 && c.seq >= c.count) finish(c);
      return;
    }
  }
  if (!c.in_ready) {
    c.in_ready = true;
    ready_.push_back(&c);
  }
}

}  // namespace bench
