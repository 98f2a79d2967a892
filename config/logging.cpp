#include "config/logging.hpp"

#include "config/access_log.hpp"
#include "config/line_formatter.hpp"
#include "config/log_safe.hpp"

#include <spdlog/async_logger.h>
#include <spdlog/details/null_mutex.h>
#include <spdlog/details/thread_pool.h>
#include <spdlog/sinks/base_sink.h>
#include <spdlog/sinks/null_sink.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <future>
#include <memory>
#include <poll.h>
#include <signal.h>
#include <string>
#include <string_view>
#include <thread>
#include <unistd.h>
#include <utility>

namespace llm_proxy {
namespace {

using namespace std::chrono_literals;

/// Of the queue, for each I/O thread: the lines of a thread's turn share one. A place takes 400 bytes from
/// the start.
constexpr std::size_t places_per_thread = 1024;
constexpr std::size_t batch_bytes = 64 * 1024;
constexpr auto longest_stop = 2s;
/// After each batch the writer rests this long. Lines that come meanwhile cost their I/O thread no wake-up
/// and share one write; the first line after a pause is out at once. Longer, and a full thread's lines are a
/// burst that other threads of its core wait for (at 40 ms: 0.4 ms of a request's p99), or overrun the queue.
constexpr auto rest_after_batch = 10ms;

// Names tell the sink what a message is; the payload of the access logger is whole lines.
constexpr const char* main_name = "main";
constexpr const char* access_name = "access";

spdlog::level::level_enum to_spdlog(log_level level) {
  switch (level) {
    case log_level::trace:
      return spdlog::level::trace;
    case log_level::debug:
      return spdlog::level::debug;
    case log_level::info:
      return spdlog::level::info;
    case log_level::warning:
      return spdlog::level::warn;
    case log_level::error:
      return spdlog::level::err;
    case log_level::critical:
      return spdlog::level::critical;
  }
  return spdlog::level::info;
}

/// By find(), which is memchr(): GCC makes std::count() at -O2 a loop over bytes.
std::size_t count_lines(std::string_view text) {
  std::size_t lines = 0;
  for (auto end = text.find('\n'); end != std::string_view::npos; end = text.find('\n', end + 1)) ++lines;
  return lines;
}

/// Collects lines while there are more in the queue, then writes them at once. Writes to the descriptor
/// itself: the lock of a FILE held by a blocked writer would block exit(). Used by the writing thread only.
class batch_sink final : public spdlog::sinks::base_sink<spdlog::details::null_mutex> {
 public:
  batch_sink(int fd, log_format format) : fd_{fd}, lines_{format} {}

  /// The pool outlives its thread, the only one that calls this sink.
  void set_queue(spdlog::details::thread_pool* queue) { queue_ = queue; }
  void hurry() { hurry_ = true; }
  /// Lines that will never reach the reader.
  std::size_t lost() const { return unwritten_ + queue_->overrun_counter(); }
  /// Lines that have yet to reach the reader.
  std::size_t waiting() const { return batch_lines_ + queue_->queue_size(); }

 protected:
  void sink_it_(const spdlog::details::log_msg& line) override {
    const std::string_view payload{line.payload.data(), line.payload.size()};
    if (std::string_view{line.logger_name.data(), line.logger_name.size()} == access_name) {
      append(batch_, payload);
      batch_lines_ += count_lines(payload);
    } else {
      lines_.add_message(line.time, line.level, payload, batch_);
      ++batch_lines_;
    }
    const bool more = queue_->queue_size() > 0;
    if (more && batch_.size() < batch_bytes) return;
    write_batch();
    if (!more) rest();
  }

  void flush_() override { write_batch(); }

 private:
  void rest() {
    if (!hurry_) std::this_thread::sleep_for(rest_after_batch);
  }

  void write_batch() {
    report_lost();
    std::string_view rest{batch_.data(), batch_.size()};
    while (!rest.empty()) {
      const auto written = ::write(fd_, rest.data(), rest.size());
      if (written >= 0) {
        rest.remove_prefix(static_cast<std::size_t>(written));
      } else if (errno == EAGAIN) {  // somebody who shares the descriptor made it non-blocking
        pollfd ready{fd_, POLLOUT, 0};
        ::poll(&ready, 1, -1);
      } else if (errno != EINTR) {  // no reader, no room: the service goes on without its log
        unwritten_ += batch_lines_;
        break;
      }
    }
    batch_.clear();
    batch_lines_ = 0;
  }

  void report_lost() {
    const std::size_t now = lost();
    if (now == reported_) return;
    const std::string text =
        std::to_string(now - reported_) + " log lines lost: the log can't be written as fast as it grows";
    reported_ = now;
    lines_.add_message(spdlog::log_clock::now(), spdlog::level::warn, text, batch_);
  }

  int fd_;
  line_formatter lines_;
  spdlog::memory_buf_t batch_;
  std::atomic<std::size_t> batch_lines_ = 0;
  std::size_t reported_ = 0;
  std::atomic<std::size_t> unwritten_ = 0;
  std::atomic<bool> hurry_ = false;
  spdlog::details::thread_pool* queue_ = nullptr;
};

struct running_log {
  std::shared_ptr<spdlog::details::thread_pool> queue;
  std::shared_ptr<batch_sink> sink;
  std::shared_ptr<spdlog::logger> main, access;
};

running_log& running() {
  static running_log log;
  return log;
}

/// Signals are for the threads that wait for them; SIGPIPE from a closed stdout would end the process.
void block_signals() {
  sigset_t all;
  sigfillset(&all);
  pthread_sigmask(SIG_BLOCK, &all, nullptr);
}

/// Does not block where stderr is the same stuck pipe.
void say_on_stderr(const std::string& text) {
  pollfd ready{STDERR_FILENO, POLLOUT, 0};
  if (::poll(&ready, 1, 0) <= 0 || (ready.revents & POLLOUT) == 0) return;
  [[maybe_unused]] const auto written = ::write(STDERR_FILENO, text.data(), text.size());
}

}  // namespace

void start_logging(const settings& values) {
  start_logging(values, STDOUT_FILENO, ::isatty(STDOUT_FILENO) == 1 ? log_format::text : log_format::json);
}

void start_logging(const settings& values, int fd, log_format format) {
  stop_logging();
  running_log log;
  log.queue = std::make_shared<spdlog::details::thread_pool>(places_per_thread * values.thread_count(), 1,
                                                             block_signals);
  log.sink = std::make_shared<batch_sink>(fd, format);
  log.sink->set_queue(log.queue.get());
  const auto make = [&](const char* name) {
    auto logger = std::make_shared<spdlog::async_logger>(name, log.sink, log.queue,
                                                         spdlog::async_overflow_policy::overrun_oldest);
    logger->set_level(to_spdlog(values.log_level));
    return logger;
  };
  log.main = make(main_name);
  log.access = make(access_name);
  spdlog::set_default_logger(log.main);
  set_access_logger(log.access.get(), format);
  running() = std::move(log);
}

void set_log_level(log_level level) {
  spdlog::set_level(to_spdlog(level));
}

void stop_logging() {
  running_log log = std::exchange(running(), {});
  if (!log.queue) return;
  set_access_logger(nullptr, log_format::text);
  spdlog::set_default_logger(
      std::make_shared<spdlog::logger>("stopped", std::make_shared<spdlog::sinks::null_sink_mt>()));

  // The pool's destructor joins the writing thread, which may be stuck in write(): that happens on a thread
  // of its own, left behind when it takes too long. All it needs is its own.
  log.sink->hurry();
  std::promise<void> written;
  auto done = written.get_future();
  const auto at_risk = log.sink->lost() + log.sink->waiting();
  std::thread closing{[log = std::move(log), written = std::move(written)]() mutable {
    log.main->flush();
    log.access.reset();
    log.main.reset();
    log.queue.reset();
    written.set_value();
  }};
  if (done.wait_for(longest_stop) == std::future_status::ready) {
    closing.join();
    return;
  }
  closing.detach();
  say_on_stderr("llm-proxy: warning: the log's reader is stuck: up to " + std::to_string(at_risk) +
                " log lines are lost\n");
}

}  // namespace llm_proxy
