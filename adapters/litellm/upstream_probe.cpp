#include "adapters/litellm/upstream_probe.hpp"

#include <utility>

namespace llm_proxy {

namespace {

using self_pointer = pinned_pointer<probe_actor, upstream_probe_state>;

}  // namespace

/// Why an upstream is probed.
enum class probe_reason : std::uint8_t { left_out, suspected };

/// A probe, on a new connection: a kept one would not show whether upstream accepts connections now.
class liveliness_call final : public call_events {
 public:
  liveliness_call(self_pointer self, io_worker& home, std::size_t upstream, probe_reason reason)
      : self_{self},
        upstream_{upstream},
        reason_{reason},
        connections_{home.sockets(), home.timers(), options_of(self->state.upstreams[upstream])},
        call_{connections_, head_for(self->state.upstreams[upstream]), nullptr, most_bytes, *this},
        deadline_{home.timers(), [this] { enter(self_, [this] { on_late(); }); }} {}

  void start() {
    deadline_.expires_after(probe_timeout);
    call_.start();
  }

  /// An answer larger than its credit never becomes complete, so it ends by the timeout.
  void on_input(call_input&& input) override {
    if (input.head) status_ = input.head->status;
    if (!input.whole) return;
    enter(self_, [this] { on_answer(); });
  }
  void on_part_sent(std::size_t) override {}
  void on_failed(failure reason) override {
    // A failure on our side says nothing about upstream.
    const bool ours = describe(reason.code).source != error_source::upstream;
    enter(self_, [&] { ended(ours ? sign::unknown : sign::none, reason.detail); });
  }

 private:
  static constexpr std::size_t most_bytes = 16 * 1024;

  static upstream_connection_options options_of(const litellm_options& upstream) {
    return {upstream.address, upstream.tls, probe_timeout, std::chrono::seconds{1}};
  }
  static std::shared_ptr<const std::string> head_for(const litellm_options& upstream) {
    upstream_request request;
    request.method = "GET";
    request.path = "/health/liveliness";
    return std::make_shared<const std::string>(upstream_head(upstream, request));
  }

  enum class sign : std::uint8_t { of_life, none, unknown };

  void on_late() {
    ended(sign::none,
          "no answer within " +
              std::to_string(std::chrono::duration_cast<std::chrono::seconds>(probe_timeout).count()) + " s");
  }

  /// An upstream in use counts as alive if it answers with anything but a server's error (5xx): it may not be
  /// LiteLLM, and then has no such path. One that was left out is used again only if it answers as LiteLLM
  /// does, with 200.
  void on_answer() {
    const bool alive = reason_ == probe_reason::suspected ? status_ < 500 : status_ == 200;
    ended(alive ? sign::of_life : sign::none, "status " + std::to_string(status_));
  }

  void ended(sign seen, const std::string& why) {
    auto& state = self_->state;
    if (reason_ == probe_reason::suspected) {
      if (seen == sign::none) state.table->gave_no_sign(upstream_, why);
    } else if (seen == sign::of_life) {
      state.table->returned(upstream_, steady_clock::now());
    }
    state.calls[upstream_].reset();  // destroys this
  }

  self_pointer self_;
  std::size_t upstream_;
  probe_reason reason_;
  upstream_connections connections_;
  upstream_call call_;
  deadline deadline_;
  unsigned status_ = 0;
};

upstream_probe_state::upstream_probe_state() = default;
upstream_probe_state::~upstream_probe_state() = default;

probe_actor::behavior_type upstream_probe(self_pointer self, io_worker* home,
                                          std::vector<litellm_options> upstreams,
                                          std::shared_ptr<upstream_table> table) {
  auto& state = self->state;
  state.upstreams = std::move(upstreams);
  state.table = std::move(table);
  state.calls.resize(state.upstreams.size());
  state.due = std::make_unique<deadline>(home->timers(), [self] { self->send(self, probe_due{}); });
  state.due->expires_after(probe_pause);
  const auto ask = [self, home](std::size_t upstream, probe_reason reason) {
    auto& call = self->state.calls[upstream];
    if (call) return;
    call = std::make_unique<liveliness_call>(self, *home, upstream, reason);
    call->start();
  };
  return {
      [self, ask](probe_due) {
        auto& known = self->state;
        for (std::size_t i = 0; i < known.calls.size(); ++i) {
          if (!known.table->usable(i)) ask(i, probe_reason::left_out);
        }
        known.due->expires_after(probe_pause);
      },
      [self, ask](const upstream_suspected& suspected) {
        if (self->state.table->usable(suspected.upstream)) ask(suspected.upstream, probe_reason::suspected);
      },
  };
}

}  // namespace llm_proxy
