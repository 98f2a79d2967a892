#include "actors/service/acceptor.hpp"

#include "http/downstream/listener.hpp"

#include <boost/asio/error.hpp>

#include <algorithm>
#include <chrono>
#include <unistd.h>
#include <utility>

namespace llm_proxy {

namespace {

/// How long TCP handshakes that are under way when listening ends have to complete. It is longer than most
/// round trips.
constexpr auto last_call = std::chrono::milliseconds{100};
constexpr int max_backlog = 4096;
/// Most clients that are accepted before other sockets have their turn.
constexpr int accepted_at_once = 64;

/// An exception ends only `work`, not the acceptor: if the acceptor ended, all connections of its thread
/// would be closed.
template <class Work>
bool survives(const char* phase, Work&& work) {
  return ::llm_proxy::survives("acceptor", phase, std::forward<Work>(work));
}

}  // namespace

acceptor_state::~acceptor_state() {
  const std::vector<std::shared_ptr<connection>> all{connections_.begin(), connections_.end()};
  for (const auto& each : all) each->close();
}

void acceptor_state::begin(self_pointer self, io_worker* home, acceptor_options options) {
  self_ = self;
  home_ = home;
  options_ = std::move(options);
  pause_.emplace(home_->timers(), [this] { enter(self_, [this] { accept_next(); }); });
  last_call_.emplace(home_->timers(), [this] { enter(self_, [this] { close_listener(); }); });
}

void acceptor_state::listen(start_listening& order) {
  all_ = std::move(order.all);
  shared_ = order.shared;
  listener_.open(home_->sockets(), order.descriptor, *this);
  accept_next();
}

void acceptor_state::accept_next() {
  if (!listener_.is_open()) return;
  const auto lack = lacks();
  if (lack == shortage::connections || lack == shortage::descriptors) {
    await_room(lack);
    return;
  }
  if (lack == shortage::none) note_room();
  accept();
}

void acceptor_state::accept() {
  if (!listener_.is_open()) return;
  if (std::exchange(next_client_, next_client::accepted) != next_client::accepted) listener_.look_again();
}

void acceptor_state::on_ready(readiness) {
  const caf::strong_actor_ptr self{self_->ctrl()};
  enter(self_, [this] {
    if (next_client_ == next_client::accepted) {
      if (!survives("accepting", [this] { accept_waiting(); })) pause(shortage::unknown, "an exception");
    } else if (next_client_ == next_client::needs_room && listener_.somebody_waits()) {
      on_newcomer();
    }
  });
}

void acceptor_state::accept_waiting() {
  // accept_one() sets next_client_ anew, because there may be no room for a further client.
  for (int i = 0; i < accepted_at_once && next_client_ == next_client::accepted; ++i) {
    if (!accept_one()) return;
  }
  if (next_client_ == next_client::accepted) listener_.look_again();
}

/// Returns false if nobody waits.
bool acceptor_state::accept_one() {
  boost::system::error_code ec;
  owned_descriptor socket{listener_.accept(ec)};
  if (ec == boost::asio::error::would_block) return false;
  if (!ec) {
    deal(std::move(socket));
    note_room();
    accept_next();
    return true;
  }
  const bool descriptors =
      ec == boost::asio::error::no_descriptors || ec == boost::system::errc::too_many_files_open_in_system;
  if (descriptors && !listener_.somebody_waits()) {
    await_newcomer();  // on Linux accept() takes a descriptor first, so it fails even if no client waits
  } else if (descriptors) {
    make_room_for(shortage::descriptors);
  } else {
    pause(shortage::unknown, ec.message());
  }
  return true;
}

void acceptor_state::deal(owned_descriptor socket) {
  auto& counts = *options_.counts;
  std::size_t best = home_->index();
  for (std::size_t i = 0; i < counts.size(); ++i) {
    if (counts[i].load(std::memory_order_relaxed) < counts[best].load(std::memory_order_relaxed)) best = i;
  }
  if (best == home_->index()) {
    counts[best].fetch_add(1, std::memory_order_relaxed);
    adopt(std::move(socket));
  } else {
    auto handed_over = std::make_shared<handed_over_socket>(options_.counts, best);
    handed_over->hold(socket.release());
    self_->send(all_[best], adopt_socket{std::move(handed_over)});
  }
}

caf::result<listening_stopped> acceptor_state::stop() {
  auto promise = self_->make_response_promise<listening_stopped>();
  stopping_.push_back(promise);
  if (listener_.is_open() && !shared_) {
    refuse_newcomers(listener_.descriptor());
    last_call_->expires_after(last_call);
  } else {
    close_listener();
  }
  return promise;
}

void acceptor_state::close_listener() {
  if (listener_.is_open()) {
    // Connections that have completed their handshake would be reset by the close, so they are accepted
    // first. Their number is limited, because on a shared socket new ones may keep coming.
    for (int i = 0; i < max_backlog; ++i) {
      boost::system::error_code ec;
      owned_descriptor waiting{listener_.accept(ec)};
      if (ec) break;
      deal(std::move(waiting));
    }
    listener_.close();
  }
  for (auto& promise : std::exchange(stopping_, {})) promise.deliver(listening_stopped{});
}

void acceptor_state::adopt(owned_descriptor socket) {
  const bool done = survives("taking a connection in", [&] { take_in(std::move(socket)); });
  if (!done) (*options_.counts)[home_->index()].fetch_sub(1, std::memory_order_relaxed);
}

void acceptor_state::take_in(owned_descriptor socket) {
  auto added = std::make_shared<connection>(std::move(socket), home_->sockets(), home_->writes(),
                                            home_->timers(), options_.timeouts, *this, options_.tls.get());
  added->start();
  // This is the last step that may throw. From here on on_closed() takes the connection off the count.
  connections_.insert(added);
  ++options_.context->counted->connections_accepted;
  if (draining_) added->drain();
}

void acceptor_state::on_request(const std::shared_ptr<exchange>& from) {
  // Without a session nobody answers the client, so the connection does.
  if (!survives("spawning a session",
                [&] { spawn_on(self_->system(), *home_, session, options_.context, from); })) {
    from->end_without_memory();
  }
}

void acceptor_state::use(const shared_actors& those) {
  auto context = std::make_shared<session_context>(*options_.context);
  context->auth = those.auth;
  context->registry = those.registry;
  context->pool = those.pool;
  context->admission = those.admission;
  context->upstreams = those.upstreams;
  context->metrics = those.metrics;
  context->observers = those.observers;
  context->probe = those.probe;
  options_.context = std::move(context);
}

void acceptor_state::use(session_rules_changed& rules) {
  auto context = std::make_shared<session_context>(*options_.context);
  context->options = *rules.options;
  context->memory = std::move(rules.memory);
  options_.context = std::move(context);
}

void acceptor_state::on_closed(const std::shared_ptr<connection>& which) {
  connections_.erase(which);
  (*options_.counts)[home_->index()].fetch_sub(1, std::memory_order_relaxed);
  check_drained();
}

void acceptor_state::on_handshake_failed(const std::string& why) {
  // Any client can cause these, so they are only logged at DEBUG.
  spdlog::debug("TLS handshake: {}", why);
}

caf::result<drained> acceptor_state::begin_drain() {
  auto promise = self_->make_response_promise<drained>();
  waiting_.push_back(promise);
  draining_ = true;
  // drain() may close a connection, which changes the set.
  const std::vector<std::shared_ptr<connection>> all{connections_.begin(), connections_.end()};
  for (const auto& each : all) each->drain();
  check_drained();
  return promise;
}

void acceptor_state::force() {
  const std::vector<std::shared_ptr<connection>> all{connections_.begin(), connections_.end()};
  for (const auto& each : all) each->force_end();
}

void acceptor_state::check_drained() {
  if (!draining_ || !connections_.empty()) return;
  for (auto& promise : std::exchange(waiting_, {})) promise.deliver(drained{});
}

acceptor_actor::behavior_type acceptor(acceptor_state::self_pointer self, io_worker* home,
                                       acceptor_options options) {
  self->state.begin(self, home, std::move(options));
  return {
      [self](start_listening& order) { survives("beginning to listen", [&] { self->state.listen(order); }); },
      [self](const adopt_socket& accepted) {
        self->state.adopt(owned_descriptor{accepted.socket->release()});
      },
      [self](tls_changed& news) { self->state.use_tls(std::move(news.tls)); },
      [self](stop_listening) { return self->state.stop(); },
      [self](const make_room& order) { return self->state.close_longest_idle(order); },
      [self](drain) { return self->state.begin_drain(); },
      [self](force_drain) { survives("ending what is in flight", [self] { self->state.force(); }); },
      [self](const shared_actors& those) {
        survives("taking other actors", [&] { self->state.use(those); });
      },
      [self](session_rules_changed& rules) {
        survives("taking other rules", [&] { self->state.use(rules); });
      },
  };
}

}  // namespace llm_proxy
