#include "adapters/upstream_probe.hpp"

#include <utility>

namespace llm_proxy {

namespace {

using self_pointer = pinned_pointer<probe_actor, upstream_probe_state>;

}  // namespace

/// One probe, on a connection of its own: a kept one would tell of the past.
class liveliness_call final : public call_events {
 public:
  liveliness_call(self_pointer self, io_worker& home, std::size_t upstream)
      : self_{self},
        upstream_{upstream},
        client_{home.io(), home.sockets(), home.timers(), options_of(self->state.upstreams[upstream])},
        call_{client_, head_for(self->state.upstreams[upstream]), nullptr, most_bytes, *this},
        deadline_{home.timers(), [this] { enter(self_, [this] { ended(false); }); }} {}

  void start() {
    deadline_.expires_after(probe_timeout);
    call_.start();
  }

  /// An answer that outgrows its credit is never whole: its time runs out.
  void on_input(call_input&& input) override {
    if (input.head) status_ = input.head->status;
    if (!input.whole) return;
    enter(self_, [this] { ended(status_ == 200); });
  }
  void on_part_sent(std::size_t) override {}
  /// A failure of ours ends the probe likewise: whether upstream is back is not known then.
  void on_failed(failure) override {
    enter(self_, [this] { ended(false); });
  }

 private:
  static constexpr std::size_t most_bytes = 16 * 1024;

  static client_options options_of(const litellm_options& upstream) {
    return {upstream.address, upstream.tls, probe_timeout, std::chrono::seconds{1}};
  }
  static std::shared_ptr<const std::string> head_for(const litellm_options& upstream) {
    upstream_request request;
    request.method = "GET";
    request.path = "/health/liveliness";
    return std::make_shared<const std::string>(upstream_head(upstream, request));
  }

  void ended(bool alive) {
    auto& state = self_->state;
    if (alive) state.table->returned(upstream_, steady_clock::now());
    state.calls[upstream_].reset();  // destroys this
  }

  self_pointer self_;
  std::size_t upstream_;
  client client_;
  client_call call_;
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
  return {
      [self, home](probe_due) {
        auto& known = self->state;
        for (std::size_t i = 0; i < known.calls.size(); ++i) {
          if (known.table->usable(i) || known.calls[i]) continue;
          known.calls[i] = std::make_unique<liveliness_call>(self, *home, i);
          known.calls[i]->start();
        }
        known.due->expires_after(probe_pause);
      },
  };
}

}  // namespace llm_proxy
