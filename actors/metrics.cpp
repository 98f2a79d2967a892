#include "actors/metrics.hpp"

#include <algorithm>
#include <chrono>
#include <map>
#include <utility>

namespace llm_proxy {

namespace {

constexpr auto probe_every = std::chrono::seconds{1};
constexpr unsigned ticks_per_window = 10;

double seconds(steady_clock::duration time) {
  return std::chrono::duration<double>(time).count();
}

void write_upstreams(prometheus_text& text, const upstream_table& table) {
  // Built at a scrape: names and numbers as the log has them, never a URL.
  const auto each = [&](auto value) {
    for (std::size_t i = 0; i < table.size(); ++i) {
      text.sample({{"upstream", std::to_string(i)}, {"host", table.name(i)}}, value(i));
    }
  };
  text.family("llm_proxy_upstream_usable", "gauge", "1: it is sent requests; 0: it is left out.");
  each([&](auto i) { return table.usable(i) ? 1.0 : 0.0; });
  text.family("llm_proxy_upstream_outstanding", "gauge",
              "Requests it has, where there are several upstreams.");
  // One alone is not counted by the pools.
  if (table.size() > 1) each([&](auto i) { return static_cast<std::uint64_t>(table.outstanding(i)); });
  text.family("llm_proxy_upstream_ejections_total", "counter", "How often it was left out.");
  each([&](auto i) { return table.ejections(i); });
}

void write_keys(prometheus_text& text, const key_table& table) {
  std::map<std::string_view, std::int64_t> last;  // entries of one name share their rules
  const auto note = [&](const key_rules& rules) {
    if (const auto used = rules.last_use->load(std::memory_order_relaxed); used > 0) last[rules.name] = used;
  };
  for (const auto& entry : table.entries) note(*entry.rules);
  note(*table.internal);
  text.family("llm_proxy_key_last_use_seconds", "gauge",
              "When a key was last let in, in seconds since 1970.");
  for (const auto& [name, used] : last) text.sample({{"key", name}}, static_cast<double>(used));
}

void write_spans(prometheus_text& text, const span_queue& spans) {
  text.family("llm_proxy_spans_queued", "gauge", "Finished spans that wait to be exported.");
  text.sample({}, static_cast<std::uint64_t>(spans.size()));
  text.family("llm_proxy_spans_exported_total", "counter", "Spans that the collector took.");
  text.sample({}, spans.exported());
  text.family("llm_proxy_spans_dropped_total", "counter",
              "Spans that found no room in the queue, or that the collector did not take.");
  text.sample({}, spans.dropped());
}

}  // namespace

/// Waits for the copies of the other threads.
struct metrics_state::scrape_under_way {
  caf::typed_response_promise<metrics_text> answer;
  std::shared_ptr<upstream_table> upstreams;
  thread_metrics sum;
  std::size_t missing = 0;
};

void metrics_state::begin(self_pointer self, io_worker* home, std::shared_ptr<thread_metrics> counted,
                          metrics_sources sources, key_table_ptr known) {
  self_ = self;
  home_ = home;
  counted_ = std::move(counted);
  sources_ = std::move(sources);
  keys = std::move(known);
  tick_.emplace(home_->timers(), [this] { enter(self_, [this] { tick(); }); });
  tick_->expires_after(probe_every);
}

void metrics_state::tick() {
  self_->send(self_, mailbox_probe{steady_clock::now()});
  if (++ticks_ % ticks_per_window == 0) turns_before_ = seconds(home_->take_longest_turn());
  tick_->expires_after(probe_every);
}

void metrics_state::on_probe(const mailbox_probe& probe) {
  counted_->mailbox_delay.add(seconds(steady_clock::now() - probe.sent));
}

metrics_snapshot metrics_state::snapshot() const {
  auto copy = std::make_shared<thread_metrics>(*counted_);
  copy->response_bytes_unsent = home_->writes().unsent_bytes();
  copy->longest_turn = std::max(turns_before_, seconds(home_->longest_turn()));
  return {std::move(copy)};
}

caf::result<metrics_text> metrics_state::scrape(const scrape_metrics& order) {
  auto under_way = std::make_shared<scrape_under_way>();
  under_way->answer = self_->make_response_promise<metrics_text>();
  under_way->upstreams = order.upstreams;
  under_way->sum.add(*snapshot().block);
  under_way->missing = peers.others.size() + 1;
  const auto one_less = [this, under_way] {
    if (--under_way->missing > 0) return;
    under_way->answer.deliver(metrics_text{render(under_way->sum, under_way->upstreams.get())});
  };
  for (const auto& peer : peers.others) {
    self_->request(peer, caf::infinite, get_metrics{})
        .then(
            [under_way, one_less](const metrics_snapshot& theirs) {
              under_way->sum.add(*theirs.block);
              one_less();
            },
            [under_way](caf::error& error) {
              // Half a sum would look like a counter that was reset.
              if (under_way->answer.pending()) under_way->answer.deliver(std::move(error));
            });
  }
  one_less();
  return under_way->answer;
}

std::string metrics_state::render(const thread_metrics& all, const upstream_table* upstreams) const {
  prometheus_text text;
  all.write(text);
  text.family("llm_proxy_requests_in_flight", "gauge",
              "Requests past their key's check that have not ended.");
  text.sample({}, static_cast<std::uint64_t>(sources_.in_flight->load()));
  text.family("llm_proxy_queue_length", "gauge", "Requests that wait for a slot.");
  text.sample({}, static_cast<std::uint64_t>(sources_.admitted->waiting.load()));
  text.family("llm_proxy_slots_in_use", "gauge", "Slots given out, where a limit is set.");
  text.sample({}, static_cast<std::uint64_t>(sources_.admitted->slots.load()));
  std::uint64_t open = 0;
  for (const auto& count : *sources_.connections) open += count.load(std::memory_order_relaxed);
  text.family("llm_proxy_connections_open", "gauge", "Client connections, but for those of ADMIN_PORT.");
  text.sample({}, open);
  text.family("llm_proxy_actors", "gauge", "Actors alive, sessions and adapters among them.");
  text.sample({}, static_cast<std::uint64_t>(self_->system().registry().running()));
  text.family("llm_proxy_pools", "gauge", "Adapter pools.");
  text.sample({}, static_cast<std::uint64_t>(sources_.actors->pools.load()));
  text.family("llm_proxy_adapters", "gauge", "Adapter actors.");
  text.sample({}, static_cast<std::uint64_t>(sources_.actors->adapters.load()));
  text.family("llm_proxy_actors_replaced_total", "counter", "Shared actors that died and were replaced.");
  text.sample({}, sources_.actors->replaced.load());
  if (upstreams != nullptr) write_upstreams(text, *upstreams);
  if (keys) write_keys(text, *keys);
  if (sources_.spans) write_spans(text, *sources_.spans);
  text.family("llm_proxy_build_info", "gauge", "Always 1.");
  text.sample({{"version", sources_.version}, {"commit", sources_.commit}}, std::uint64_t{1});
  write_process_metrics(text);
  return text.take();
}

metrics_actor::behavior_type metrics(metrics_state::self_pointer self, io_worker* home,
                                     std::shared_ptr<thread_metrics> counted, metrics_sources sources,
                                     key_table_ptr keys) {
  self->state.begin(self, home, std::move(counted), std::move(sources), std::move(keys));
  return {
      [self](get_metrics) { return self->state.snapshot(); },
      [self](const scrape_metrics& order) { return self->state.scrape(order); },
      [self](const mailbox_probe& probe) { self->state.on_probe(probe); },
      [self](metrics_peers& peers) { self->state.peers = std::move(peers); },
      [self](keys_changed& news) { self->state.keys = std::move(news.keys); },
  };
}

}  // namespace llm_proxy
