// What a session counts, and GET /metrics.
#include "actors/session/session.hpp"

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>

namespace llm_proxy {

namespace {

/// A scrape that its client has not read within this time is cut, so that a slow client cannot keep others
/// out. Prometheus itself stops waiting after 10 s by default (its option scrape_timeout).
constexpr auto longest_scrape = std::chrono::seconds{30};
constexpr std::size_t scrape_piece = std::size_t{64} << 10;
/// Until the client's last acknowledgement is looked for again.
constexpr auto look_again_after = std::chrono::milliseconds{5};

double seconds(steady_clock::duration time) {
  return std::chrono::duration<double>(time).count();
}

}  // namespace

/// As labels say it; what fits no row could be anything, and is no label.
std::string_view session_state::route_label() const {
  if (route_.row == nullptr) return "unmatched";
  if (route_.row->path.empty()) return "passthrough";
  if (route_.row->target == endpoint::model) return "/v1/models/{id}";
  return route_.row->path;
}

bool session_state::is_public() const {
  return context_->admin ||
         is_public_path(head_->path(), {context_->options.ui, context_->options.metrics_public});
}

void session_state::answer_metrics() {
  // With METRICS_PUBLIC and on ADMIN_PORT there is no key.
  if (key_ && !is_operator_) {
    refuse({errc::internal_key_required, {}, {}, {}});
    return;
  }
  self_->request(context_->metrics, caf::infinite, scrape_metrics{context_->upstreams})
      .then([this](const metrics_text& all) { send_metrics(all); },
            [this](const caf::error& error) {
              header_list headers;
              headers.add("retry-after", "1");
              refuse(to_failure(error), std::move(headers));
            });
}

void session_state::send_metrics(const metrics_text& all) {
  if (phase_ == phase::closed) return;  // its client has left
  scrape_ = std::make_unique<scrape_answer>(
      context_->home->timers(), all.text, [this] { enter(self_, [this] { send_more_metrics(); }); },
      [this] { enter(self_, [this] { break_answer(verdict::client_gone); }); });
  scrape_->too_late.expires_after(longest_scrape);
  status_ = 200;
  response_head out{status_, {}};
  out.headers.add("content-type", prometheus_text::content_type);
  out.headers.add("x-request-id", id_);
  client_->start_answer(out, body_framing::content_length, scrape_->text->size(), false);
  if (head_->method == "HEAD")
    end_answer(verdict::complete);
  else
    send_more_metrics();
}

/// A piece at a time, so that no turn copies or encrypts megabytes. The answer is over only when the client
/// has all of it: until then the scrape counts among those of the process, so that clients that do not read
/// cannot make the process, or the kernel's buffers, hold one text each.
void session_state::send_more_metrics() {
  const std::string_view text = *scrape_->text;
  if (scrape_->written < text.size()) {
    if (client_->backlog() > scrape_piece) return;  // goes on when it has left
    const auto piece = text.substr(scrape_->written, scrape_piece);
    scrape_->written += piece.size();
    client_->write(piece);
  } else if (client_->backlog() > 0) {
    return;
  } else if (client_->unacknowledged() > 0) {
    scrape_->look_again.expires_after(look_again_after);
  } else {
    end_answer(verdict::complete);
  }
}

void session_state::note_phase(phase next) {
  if (next == phase_) return;
  auto& counted = *context_->counted;
  if (next == phase::queued) queued_at_ = steady_clock::now();
  if (phase_ == phase::queued) {
    queue_time_ = steady_clock::now() - queued_at_;
    counted.queue_wait.add(seconds(queue_time_));
  }
  if (next == phase::streaming) ++counted.streams_open;
  if (phase_ == phase::streaming) --counted.streams_open;
}

/// Who was slow: the key's check, the queue, upstream's connect, upstream itself, LiteLLM's share of that.
server_timing session_state::timing() const {
  const auto now = steady_clock::now();
  server_timing all;
  all.add("queue", phase_ == phase::queued ? now - queued_at_ : queue_time_);
  all.add("auth", auth_time_);
  if (connect_time_.count() > 0) all.add("connect", connect_time_);
  if (stream_opened_) {
    // A connect is no wait for upstream's answer; of an upload it may be over long before its last part.
    const auto connecting = std::max(opened_ + connect_time_ - sent_, steady_clock::duration{0});
    const auto come = first_byte_ != steady_clock::time_point{} ? first_byte_ : now;
    all.add("first_byte", come - sent_ - connecting);
  }
  if (overhead_.count() >= 0) all.add("litellm", overhead_);
  all.add("total", now - started_);
  return all;
}

/// Whether the request's path goes to LiteLLM; also of one that was refused, for its key or its Host, before
/// it was routed.
bool session_state::goes_upstream() const {
  if (route_.target != endpoint::none || context_->admin) return route_.target == endpoint::upstream;
  const auto& options = context_->options;
  const auto found =
      find_route(head_->method, head_->path(), options.passthrough_paths, options.ui, options.own_routes);
  return found.target == endpoint::upstream;
}

/// Of an answer that is upstream's, or stands for one.
void session_state::add_timing(header_list& headers) const {
  if (goes_upstream()) headers.add("server-timing", timing().text());
}

/// `rest`: an event without its blank line, to which nothing may be glued.
void session_state::tell_timing(std::string_view rest) {
  if (!context_->options.stream_timing || !rest.empty() || judge_.error_seen() || judge_.inside_event() ||
      !client_->answer_started()) {
    return;
  }
  client_->write(std::string{": server-timing "}.append(timing().text()).append("\n\n"));
}

void session_state::count(verdict how, double ms) const {
  auto& counted = *context_->counted;
  --counted.sessions;
  request_facts facts;
  facts.route = route_label();
  facts.verdict = to_string(how);
  facts.complete = how == verdict::complete;
  facts.status = status_;
  facts.seconds = ms / 1000;
  facts.bytes_in = bytes_in_;
  facts.bytes_out = bytes_out_;
  facts.retries = retries_;
  if (key_ && route_.target == endpoint::upstream) {
    facts.operation = operation_of(route_.row->path);
    facts.key = key_->name;
    facts.model = model_;
    facts.response_model = judge_.model;
    facts.usage = usage_;
    if (wants_stream_ && first_byte_ != steady_clock::time_point{}) {
      facts.first_token_seconds = seconds(first_byte_ - started_);
    }
  }
  counted.record(facts);
}

}  // namespace llm_proxy
