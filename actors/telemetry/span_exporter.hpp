// Sends finished spans to an OpenTelemetry collector (OTLP/HTTP, JSON). There is one if tracing is on;
// proxy.cpp spawns it, and it lives as long as the process. Requests never wait for it: sessions put their
// spans into a span_queue, and spans that the collector does not accept in time are counted and dropped.
//
//   idle ──OTEL_BSP_SCHEDULE_DELAY, or a batch is full──▶ sending ──taken──▶ sending | idle
//                                                          │  ▲
//                                                          ▼  │ later each time, up to most_tries
//                                                         pausing ──▶ dropped
#pragma once

#include "actors/messages/messages.hpp"
#include "actors/runtime/pinned.hpp"
#include "http/telemetry/span_queue.hpp"
#include "http/upstream/upstream_call.hpp"

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace llm_proxy {

struct span_exporter_options {
  upstream_address address;
  std::shared_ptr<upstream_tls> tls;          ///< for https; null for the system's authorities
  std::string path;                           ///< appended to the address's own path
  header_list headers;                        ///< additional ones; they may contain keys
  std::chrono::milliseconds timeout{10'000};  ///< of one try, including connecting
  std::chrono::milliseconds schedule_delay{5'000};
  otlp_resource resource;
};

class span_exporter_state : public call_events {
 public:
  static inline const char* name = "span_exporter";
  using self_pointer = pinned_pointer<exporter_actor, span_exporter_state>;

  virtual ~span_exporter_state() = default;

  void begin(self_pointer self, io_worker* home, span_exporter_options options,
             std::shared_ptr<span_queue> queue);
  void on_export_due();
  caf::result<spans_flushed> flush();

 private:
  static constexpr unsigned most_tries = 5;

  void on_input(call_input&& input) override;
  void on_part_sent(std::size_t) override {}
  void on_failed(failure reason) override;

  void send_batch();
  void try_batch();
  void on_answer();
  /// The collector did not accept the batch. `again` says whether it may accept it later.
  void on_fault(const std::string& why, bool again);
  void end_batch();
  void tick();
  void end_flush();

  self_pointer self_ = nullptr;
  span_exporter_options options_;
  std::shared_ptr<span_queue> queue_;
  std::unique_ptr<upstream_connections> connections_;
  std::unique_ptr<upstream_call> call_;      // null if none is under way
  std::optional<deadline> tick_;             // every schedule_delay
  std::optional<deadline> patience_;         // the time limit of the call
  std::optional<deadline> pause_;            // before the next try
  std::shared_ptr<const std::string> body_;  // of the current batch; null if there is none
  std::size_t batch_size_ = 0;
  unsigned tries_ = 0;
  unsigned status_ = 0;
  std::string retry_after_;
  std::string answer_;
  bool failing_ = false;            // the last try failed, and that was logged
  std::uint64_t told_dropped_ = 0;  // the count in the last warning
  steady_clock::time_point told_at_{};
  std::optional<caf::typed_response_promise<spans_flushed>> flushing_;
};

exporter_actor::behavior_type span_exporter(span_exporter_state::self_pointer self, io_worker* home,
                                            span_exporter_options options, std::shared_ptr<span_queue> queue);

}  // namespace llm_proxy
