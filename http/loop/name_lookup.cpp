#include "http/loop/name_lookup.hpp"

#include "http/system/local_shortage.hpp"
#include "http/text/text.hpp"

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>

#include <array>
#include <charconv>
#include <cstdint>
#include <exception>
#include <map>
#include <mutex>
#include <signal.h>
#include <string_view>
#include <system_error>
#include <thread>
#include <utility>

namespace llm_proxy {

namespace {

/// The thread of one name, so that a name whose server is down does not delay others. Names are configured,
/// so there are few. A thread is never destroyed, so that it does not delay the end of the process.
class lookup_thread {
 public:
  static lookup_thread& of(const std::string& host) {
    static std::mutex mutex;
    static auto* const all = new std::map<std::string, lookup_thread*>;
    const std::lock_guard lock{mutex};
    auto& found = (*all)[host];
    if (found == nullptr) found = new lookup_thread;
    return *found;
  }

  boost::asio::io_context& io() { return io_; }

 private:
  lookup_thread() {
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &before);
    std::exception_ptr failed;
    try {
      std::thread{[this] { io_.run(); }}.detach();
    } catch (...) {
      failed = std::current_exception();
    }
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
    if (failed) std::rethrow_exception(failed);
  }

  boost::asio::io_context io_{1};
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work_{io_.get_executor()};
};

}  // namespace

name_lookup_result localhost_addresses(const std::string& host, const std::string& port) {
  constexpr std::string_view name = "localhost";
  if (host.size() < name.size() || !iequals(std::string_view{host}.substr(host.size() - name.size()), name))
    return {};
  if (host.size() > name.size() && host[host.size() - name.size() - 1] != '.') return {};
  const auto number = parse_number<std::uint16_t>(port);
  if (!number) return {};
  using boost::asio::ip::tcp;
  const std::array<tcp::endpoint, 2> found{tcp::endpoint{boost::asio::ip::address_v4::loopback(), *number},
                                           tcp::endpoint{boost::asio::ip::address_v6::loopback(), *number}};
  return name_lookup_result::create(found.begin(), found.end(), host, port);
}

void look_up_name(std::string host, std::string port, std::shared_ptr<thread_inbox> home,
                  std::function<void(const boost::system::error_code&, const name_lookup_result&)> done) {
  if (auto own = localhost_addresses(host, port); !own.empty()) {
    home->post([done = std::move(done), own = std::move(own)] { done({}, own); });
    return;
  }
  boost::asio::io_context* thread = nullptr;
  try {
    thread = &lookup_thread::of(host).io();
  } catch (...) {
    // Reported later, like every other outcome.
    home->post([done = std::move(done), ec = error_of(std::current_exception())] { done(ec, {}); });
    return;
  }
  auto& io = *thread;
  boost::asio::post(io, [&io, host = std::move(host), port = std::move(port), home = std::move(home),
                         done = std::move(done)]() mutable {
    boost::asio::ip::tcp::resolver resolver{io};
    boost::system::error_code ec;
    auto found = resolver.resolve(host, port, ec);
    ec = or_shortage(ec);
    home->post([done = std::move(done), ec, found = std::move(found)] { done(ec, found); });
  });
}

}  // namespace llm_proxy
