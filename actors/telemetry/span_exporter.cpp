#include "actors/telemetry/span_exporter.hpp"

#include "http/wire/retry_after.hpp"

#include <algorithm>
#include <utility>

namespace llm_proxy {

namespace {

using std::chrono::milliseconds;

constexpr std::size_t most_answer_bytes = 64 * 1024;
constexpr milliseconds longest_pause{30'000};
constexpr auto between_warnings = std::chrono::minutes{1};
/// How long an idle connection is kept for the next batch.
constexpr milliseconds keep_connection{30'000};

/// Returns whether OTLP/HTTP lists the status under "Retryable Response Codes".
bool is_retryable(unsigned status) {
  return status == 429 || status == 502 || status == 503 || status == 504;
}

}  // namespace

void span_exporter_state::begin(self_pointer self, io_worker* home, span_exporter_options options,
                                std::shared_ptr<span_queue> queue) {
  self_ = self;
  options_ = std::move(options);
  queue_ = std::move(queue);
  connections_ = std::make_unique<upstream_connections>(
      home->sockets(), home->timers(),
      upstream_connection_options{options_.address, options_.tls, options_.timeout, keep_connection});
  tick_.emplace(home->timers(), [this] { enter(self_, [this] { tick(); }); });
  pause_.emplace(home->timers(), [this] { enter(self_, [this] { try_batch(); }); });
  patience_.emplace(home->timers(),
                    [this] { enter(self_, [this] { on_fault("it did not answer in time", true); }); });
  tick_->expires_after(options_.schedule_delay);
}

void span_exporter_state::on_export_due() {
  if (!body_) send_batch();
}

void span_exporter_state::tick() {
  on_export_due();
  tick_->expires_after(options_.schedule_delay);
  const auto dropped = queue_->dropped();
  const auto now = steady_clock::now();
  if (dropped == told_dropped_ || now - told_at_ < between_warnings) return;
  spdlog::warn("traces: dropped spans: {} more, {} in all; the collector {} did not take them in time",
               dropped - std::exchange(told_dropped_, dropped), dropped, options_.address.host_header);
  told_at_ = now;
}

void span_exporter_state::send_batch() {
  const auto spans = queue_->take();
  if (spans.empty()) {
    end_flush();
    return;
  }
  body_ = std::make_shared<const std::string>(otlp_traces(options_.resource, spans));
  batch_size_ = spans.size();
  tries_ = 0;
  try_batch();
}

void span_exporter_state::try_batch() {
  ++tries_;
  status_ = 0;
  retry_after_.clear();
  answer_.clear();
  std::string head = "POST " + options_.address.prefix + options_.path +
                     " HTTP/1.1\r\nhost: " + options_.address.host_header + "\r\nuser-agent: llm-proxy/" +
                     options_.resource.version +
                     "\r\ncontent-type: application/json\r\ncontent-length: " + std::to_string(body_->size());
  for (const auto field : options_.headers)
    head.append("\r\n").append(field.name).append(": ").append(field.value);
  head += "\r\n\r\n";
  call_ = std::make_unique<upstream_call>(*connections_, std::make_shared<const std::string>(std::move(head)),
                                          body_, most_answer_bytes, *this);
  patience_->expires_after(options_.timeout);
  call_->start();
}

/// An answer larger than its credit never becomes complete, so it ends by the timeout.
void span_exporter_state::on_input(call_input&& input) {
  enter(self_, [&] {
    if (input.head) {
      status_ = input.head->status;
      if (const auto wait = input.head->headers.find("retry-after")) retry_after_ = *wait;
    }
    answer_ += input.bytes;
    if (input.whole) on_answer();
  });
}

void span_exporter_state::on_failed(failure reason) {
  const bool ours = reason.code == errc::out_of_resources;
  enter(self_,
        [&] { on_fault((ours ? "this service cannot open a connection: " : "") + reason.detail, true); });
}

void span_exporter_state::on_answer() {
  if (status_ < 200 || status_ >= 300) {
    on_fault("it answers " + std::to_string(status_), is_retryable(status_));
    return;
  }
  const auto rejected = std::min<std::uint64_t>(rejected_spans(answer_), batch_size_);
  queue_->note_dropped(rejected);
  queue_->note_exported(batch_size_ - rejected);
  if (std::exchange(failing_, false))
    spdlog::info("traces: the collector {} takes spans again", options_.address.host_header);
  end_batch();
}

void span_exporter_state::on_fault(const std::string& why, bool again) {
  patience_->cancel();
  call_.reset();
  if (!std::exchange(failing_, true)) {
    spdlog::warn("traces: the collector {} takes no spans: {}; requests are served on",
                 options_.address.host_header, why);
  }
  if (!again || tries_ >= most_tries || flushing_) {
    queue_->note_dropped(batch_size_);
    // A collector that cannot be reached now will not be reachable for the next batch either.
    if (again && flushing_) {
      body_.reset();
      end_flush();
    } else {
      end_batch();
    }
    return;
  }
  auto wait = milliseconds{1000} * (1U << (tries_ - 1));
  if (const auto asked = parse_retry_after(retry_after_, std::chrono::system_clock::now())) wait = *asked;
  pause_->expires_after(std::clamp(wait, milliseconds{100}, longest_pause));
}

void span_exporter_state::end_batch() {
  patience_->cancel();
  call_.reset();
  body_.reset();
  // If a whole batch has gathered meanwhile, it is sent without waiting for the next tick.
  if (flushing_ || queue_->has_batch()) send_batch();
}

caf::result<spans_flushed> span_exporter_state::flush() {
  auto promise = self_->make_response_promise<spans_flushed>();
  flushing_ = promise;
  if (!body_) {
    send_batch();
  } else if (!call_) {
    pause_->cancel();
    try_batch();
  }
  return promise;
}

void span_exporter_state::end_flush() {
  if (auto waiting = std::exchange(flushing_, std::nullopt)) waiting->deliver(spans_flushed{});
}

exporter_actor::behavior_type span_exporter(span_exporter_state::self_pointer self, io_worker* home,
                                            span_exporter_options options,
                                            std::shared_ptr<span_queue> queue) {
  self->state.begin(self, home, std::move(options), std::move(queue));
  return {
      [self](export_due) { self->state.on_export_due(); },
      [self](flush_spans) { return self->state.flush(); },
  };
}

}  // namespace llm_proxy
