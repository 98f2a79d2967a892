// Lets code that is written for Asio, such as Beast's WebSocket, run on the thread of a reactor.
#pragma once

#include "http/loop/reactor.hpp"

#include <boost/asio/execution/blocking.hpp>
#include <boost/asio/execution/context.hpp>
#include <boost/asio/execution_context.hpp>
#include <boost/asio/io_context.hpp>

#include <memory>
#include <type_traits>
#include <utility>

namespace llm_proxy {

/// One per thread: what Asio wants of an executor beside running functions. Its io_context is never run, so a
/// timer of Asio's that is set in it never ends. Time limits are `deadline`s here.
class loop_context {
 public:
  /// `home` outlives it.
  explicit loop_context(reactor& home) : home_{home} {}
  loop_context(const loop_context&) = delete;
  loop_context& operator=(const loop_context&) = delete;

  reactor& home() const { return home_; }
  boost::asio::execution_context& services() { return services_; }

 private:
  reactor& home_;
  boost::asio::io_context services_{1};
};

/// An executor as Asio defines it (Boost.Asio's reference, "Executor requirements"): functions run in the
/// reactor's next round. To be used on the reactor's thread only.
class loop_executor {
 public:
  explicit loop_executor(loop_context& context) : context_{&context} {}

  template <class Function>
  void execute(Function&& function) const {
    // std::function must be able to copy its target, and Asio's functions can only be moved.
    auto kept = std::make_shared<std::decay_t<Function>>(std::forward<Function>(function));
    context_->home().soon([kept = std::move(kept)] { std::move (*kept)(); });
  }

  boost::asio::execution_context& query(boost::asio::execution::context_t) const noexcept {
    return context_->services();
  }
  static constexpr boost::asio::execution::blocking_t query(boost::asio::execution::blocking_t) noexcept {
    return boost::asio::execution::blocking_t::never;
  }
  loop_executor require(boost::asio::execution::blocking_t::never_t) const noexcept { return *this; }

  bool operator==(const loop_executor&) const noexcept = default;

 private:
  loop_context* context_;
};

}  // namespace llm_proxy
