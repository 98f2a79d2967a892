#include "http/name_lookup.hpp"

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>

#include <signal.h>
#include <thread>
#include <utility>

namespace llm_proxy {

namespace {

/// Never destroyed: a look-up of a name server that is down must not hold up the end of the process.
class lookup_thread {
 public:
  static lookup_thread& get() {
    static auto* const only = new lookup_thread;
    return *only;
  }

  static lookup_thread& get_aside() {
    static auto* const only = new lookup_thread;
    return *only;
  }

  boost::asio::io_context& io() { return io_; }

 private:
  lookup_thread() {
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &before);
    std::thread{[this] { io_.run(); }}.detach();
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
  }

  boost::asio::io_context io_{1};
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work_{io_.get_executor()};
};

}  // namespace

void look_up_name(std::string host, std::string port, bool aside, std::shared_ptr<thread_inbox> home,
                  std::function<void(const boost::system::error_code&, const name_lookup_result&)> done) {
  auto& io = (aside ? lookup_thread::get_aside() : lookup_thread::get()).io();
  boost::asio::post(io, [&io, host = std::move(host), port = std::move(port), home = std::move(home),
                         done = std::move(done)]() mutable {
    boost::asio::ip::tcp::resolver resolver{io};
    boost::system::error_code ec;
    auto found = resolver.resolve(host, port, ec);
    home->post([done = std::move(done), ec, found = std::move(found)] { done(ec, found); });
  });
}

}  // namespace llm_proxy
