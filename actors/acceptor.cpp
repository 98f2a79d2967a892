#include "actors/acceptor.hpp"

#include <boost/asio/error.hpp>

#include <algorithm>
#include <chrono>
#include <malloc.h>
#include <unistd.h>
#include <utility>

namespace llm_proxy {

namespace {

using boost::asio::ip::tcp;

constexpr auto pause_without_descriptors = std::chrono::milliseconds{100};
/// Memory goes back to the system this long after a crowd has left.
constexpr auto trim_after = std::chrono::seconds{2};
constexpr std::size_t crowd = 256;

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
  // glibc keeps what was freed: without this a burst of streams would be seen in the RSS for ever.
  trim_.emplace(home_->timers(), [] { malloc_trim(0); });
}

void acceptor_state::listen(int descriptor, std::vector<acceptor_actor> all) {
  all_ = std::move(all);
  listener_.emplace(home_->io());
  sockaddr_storage bound{};
  socklen_t length = sizeof(bound);
  getsockname(descriptor, reinterpret_cast<sockaddr*>(&bound), &length);
  listener_->assign(bound.ss_family == AF_INET6 ? tcp::v6() : tcp::v4(), descriptor);
  accept_next();
}

void acceptor_state::accept_next() {
  if (!listener_ || draining_) return;
  home_->sockets().asio_used();
  listener_->async_accept(home_->io(), [this, self = caf::strong_actor_ptr{self_->ctrl()}](
                                           const boost::system::error_code& ec, tcp::socket socket) {
    if (ec == boost::asio::error::operation_aborted) return;  // `this` may be gone
    enter(self_, [&] { on_accept(ec, std::move(socket)); });
  });
}

void acceptor_state::on_accept(const boost::system::error_code& ec, tcp::socket socket) {
  if (draining_) return;
  if (ec) {
    // Out of descriptors or memory: accepting again at once would only spin.
    spdlog::error("accept: {}", ec.message());
    pause_->expires_after(pause_without_descriptors);
    return;
  }
  const auto& counts = *options_.counts;
  std::size_t best = home_->index();
  for (std::size_t i = 0; i < counts.size(); ++i) {
    if (counts[i].load(std::memory_order_relaxed) < counts[best].load(std::memory_order_relaxed)) best = i;
  }
  // Counted here, not on arrival: the next one accepted must see it.
  (*options_.counts)[best].fetch_add(1, std::memory_order_relaxed);
  if (best == home_->index()) {
    adopt(std::move(socket));
  } else {
    self_->send(all_[best], adopt_socket{socket.release()});
  }
  accept_next();
}

void acceptor_state::adopt(tcp::socket socket) {
  auto added = std::make_shared<connection>(std::move(socket), home_->sockets(), home_->writes(),
                                            home_->timers(), options_.timeouts, *this);
  connections_.insert(added);
  most_ = std::max(most_, connections_.size());
  added->start();
  if (draining_) added->drain();
}

void acceptor_state::on_request(const std::shared_ptr<connection>& from) {
  spawn_on(self_->system(), *home_, session, options_.context, from);
}

void acceptor_state::on_closed(const std::shared_ptr<connection>& which) {
  connections_.erase(which);
  if (most_ > crowd && connections_.size() < most_ / 4) {
    most_ = connections_.size();
    trim_->expires_after(trim_after);
  }
  (*options_.counts)[home_->index()].fetch_sub(1, std::memory_order_relaxed);
  check_drained();
}

caf::result<drained> acceptor_state::begin_drain() {
  auto promise = self_->make_response_promise<drained>();
  waiting_.push_back(promise);
  draining_ = true;
  boost::system::error_code ignored;
  if (listener_) listener_->close(ignored);
  // drain() may close a connection and with it change the set.
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
      [self](start_listening& order) { self->state.listen(order.descriptor, std::move(order.all)); },
      [self, home](const adopt_socket& accepted) {
        sockaddr_storage peer{};
        socklen_t length = sizeof(peer);
        const bool known = getsockname(accepted.descriptor, reinterpret_cast<sockaddr*>(&peer), &length) == 0;
        tcp::socket socket{home->io()};
        boost::system::error_code ec;
        socket.assign(known && peer.ss_family == AF_INET6 ? tcp::v6() : tcp::v4(), accepted.descriptor, ec);
        if (ec) {
          spdlog::error("acceptor: a socket handed over cannot be used: {}", ec.message());
          ::close(accepted.descriptor);
          return;
        }
        self->state.adopt(std::move(socket));
      },
      [self](drain) { return self->state.begin_drain(); },
      [self](force_drain) { self->state.force(); },
  };
}

}  // namespace llm_proxy
