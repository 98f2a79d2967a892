#include "actors/telemetry/metrics.hpp"

#include "config/log_losses.hpp"
#include "http/telemetry/process_metrics.hpp"

#include <algorithm>
#include <chrono>
#include <utility>

namespace llm_proxy {

namespace {

constexpr auto probe_every = std::chrono::seconds{1};
constexpr unsigned ticks_per_window = 10;
/// A scrape may occupy its thread for this long at a time, well under the 5 ms that would be noticed. Then
/// others run.
constexpr auto slice = std::chrono::milliseconds{2};
constexpr auto pause_between_slices = std::chrono::milliseconds{1};

double seconds(steady_clock::duration time) {
  return std::chrono::duration<double>(time).count();
}

void write_upstreams(prometheus_text& text, const upstream_table& table) {
  // The names and numbers are those of the log. A URL is never shown.
  const auto each = [&](auto value) {
    for (std::size_t i = 0; i < table.size(); ++i) {
      text.sample({{"upstream", std::to_string(i)}, {"host", table.name(i)}}, value(i));
    }
  };
  text.family("llm_proxy_upstream_usable", "gauge", "1: it is sent requests; 0: it is left out.");
  each([&](auto i) { return table.usable(i) ? 1.0 : 0.0; });
  text.family("llm_proxy_upstream_outstanding", "gauge",
              "Requests it has, where there are several upstreams.");
  // The pools do not count the requests of an upstream that is the only one.
  if (table.size() > 1) each([&](auto i) { return static_cast<std::uint64_t>(table.outstanding(i)); });
  text.family("llm_proxy_upstream_ejections_total", "counter", "How often it was left out.");
  each([&](auto i) { return table.ejections(i); });
}

void write_keys(prometheus_text& text, text_steps& steps, const std::shared_ptr<key_uses>& uses) {
  steps.add_once([&text] {
    text.family("llm_proxy_key_last_use_seconds", "gauge",
                "When a key was last let in, in seconds since 1970.");
  });
  const auto all = std::make_shared<std::vector<key_uses::last>>();
  steps.add_once([all, uses] { *all = uses->all(); });
  steps.add([&text, all, next = std::size_t{0}]() mutable {
    if (next < all->size()) text.sample({{"key", (*all)[next].name}}, static_cast<double>((*all)[next].time));
    return ++next >= all->size();
  });
}

void write_log_losses(prometheus_text& text) {
  const auto lost = lost_log_lines();
  text.family("llm_proxy_log_lines_lost_total", "counter", "Lines that never reached the log's reader.");
  text.sample({{"reason", "queue_full"}}, lost.queue_full);
  text.sample({{"reason", "disk_full"}}, lost.disk_full);
  text.sample({{"reason", "reader_gone"}}, lost.reader_gone);
  text.sample({{"reason", "write_error"}}, lost.write_error);
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

std::shared_ptr<const void> scrape_gate::enter() {
  if (alive_->fetch_add(1) >= most) {
    alive_->fetch_sub(1);
    return nullptr;
  }
  return {static_cast<const void*>(this), [alive = alive_](const void*) { alive->fetch_sub(1); }};
}

/// A scrape that waits for the copies of the other threads, and then for its text to be written.
struct metrics_state::scrape_under_way {
  scrape_under_way(caf::typed_response_promise<metrics_text> promise, std::shared_ptr<const void> gate_place,
                   std::shared_ptr<upstream_table> table, const metric_counts& own)
      : answer{std::move(promise)},
        place{std::move(gate_place)},
        upstreams{std::move(table)},
        sum{own},
        missing{1} {}

  caf::typed_response_promise<metrics_text> answer;
  std::shared_ptr<const void> place;  // in the scrape_gate
  std::shared_ptr<upstream_table> upstreams;
  metric_counts sum;
  std::size_t missing;
  prometheus_text text;
  text_steps steps;
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
  next_slice_.emplace(home_->timers(), [this] { enter(self_, [this] { write_slice(); }); });
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
  auto copy = std::make_shared<metric_counts>(*counted_);
  copy->response_bytes_unsent = home_->writes().unsent_bytes();
  copy->longest_turn = std::max(turns_before_, seconds(home_->longest_turn()));
  return {std::move(copy)};
}

caf::result<metrics_text> metrics_state::scrape(const scrape_metrics& order) {
  auto place = sources_.scrapes->enter();
  if (!place) {
    return to_error(
        {.code = errc::overloaded,
         .message = "Two scrapes are under way, which is the most at once: try again in a moment.",
         .detail = "a third scrape"});
  }
  const auto under_way = std::make_shared<scrape_under_way>(
      self_->make_response_promise<metrics_text>(), std::move(place), order.upstreams, *snapshot().block);
  under_way->missing += peers.others.size();
  const auto one_less = [this, under_way] {
    if (--under_way->missing == 0) begin_writing(under_way);
  };
  for (const auto& peer : peers.others) {
    self_->request(peer, caf::infinite, get_metrics{})
        .then(
            [under_way, one_less](const metrics_snapshot& theirs) {
              under_way->sum.add(*theirs.block);
              one_less();
            },
            [under_way](caf::error& error) {
              // An incomplete sum would look like a counter that was reset.
              if (under_way->answer.pending()) under_way->answer.deliver(std::move(error));
            });
  }
  one_less();
  return under_way->answer;
}

void metrics_state::begin_writing(const scrape_ptr& scrape) {
  auto& text = scrape->text;
  auto& steps = scrape->steps;
  scrape->sum.write(text, steps);
  steps.add_once([this, &text, upstreams = scrape->upstreams] {
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
    if (upstreams) write_upstreams(text, *upstreams);
  });
  if (keys) write_keys(text, steps, keys->uses);
  steps.add_once([this, &text] {
    if (sources_.spans) write_spans(text, *sources_.spans);
    write_log_losses(text);
    text.family("llm_proxy_build_info", "gauge", "Always 1.");
    text.sample({{"version", sources_.version}, {"commit", sources_.commit}}, std::uint64_t{1});
  });
  write_process_metrics(text, steps);
  writing_.push_back(scrape);
  // A scrape of the usual size needs only one slice.
  if (!next_slice_->armed()) write_slice();
}

/// Slices are started by a deadline, not by a message to itself: a thread does not poll its sockets while one
/// of its actors always has a message.
void metrics_state::write_slice() {
  if (writing_.empty()) return;
  if (writing_.front()->steps.run(slice)) {
    const auto done = std::move(writing_.front());
    writing_.pop_front();
    struct placed_text {
      std::string text;
      std::shared_ptr<const void> place;
    };
    const auto whole = std::make_shared<placed_text>(placed_text{done->text.take(), done->place});
    done->answer.deliver(metrics_text{{whole, &whole->text}});
  }
  if (!writing_.empty()) next_slice_->expires_after(pause_between_slices);
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
