#include "config/logging.hpp"

#include "config/access_log.hpp"
#include "config/log_losses.hpp"
#include "config/log_queue.hpp"
#include "config/log_writer.hpp"

#include <spdlog/sinks/null_sink.h>
#include <spdlog/sinks/sink.h>
#include <spdlog/spdlog.h>

#include <chrono>
#include <future>
#include <memory>
#include <signal.h>
#include <string>
#include <string_view>
#include <thread>
#include <unistd.h>
#include <utility>

namespace llm_proxy {
namespace {

using namespace std::chrono_literals;

/// Places in the queue for each I/O thread. The lines of one turn of a thread share a place.
constexpr std::size_t places_per_thread = 1024;
constexpr auto longest_stop = 2s;

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

/// Counts lines with find(), which calls memchr(). GCC compiles std::count() at -O2 to a loop over bytes.
std::size_t count_lines(std::string_view text) {
  std::size_t lines = 0;
  for (auto end = text.find('\n'); end != std::string_view::npos; end = text.find('\n', end + 1)) ++lines;
  return lines;
}

/// Puts what is logged into the queue, on the thread that logs.
class queue_sink final : public spdlog::sinks::sink {
 public:
  /// `whole_lines`: the logged texts are complete lines that are written as they are, not messages.
  queue_sink(std::shared_ptr<log_queue> queue, bool whole_lines)
      : queue_{std::move(queue)}, whole_lines_{whole_lines} {}

  void log(const spdlog::details::log_msg& logged) override {
    const std::string_view text{logged.payload.data(), logged.payload.size()};
    log_entry entry;
    entry.lines = whole_lines_ ? count_lines(text) : 1;
    entry.whole_lines = whole_lines_;
    entry.time = logged.time;
    entry.level = logged.level;
    if (const auto dropped = queue_->push(entry, text); dropped > 0) count_lost_log_lines(dropped, 0);
  }
  void flush() override {}
  void set_pattern(const std::string&) override {}
  void set_formatter(std::unique_ptr<spdlog::formatter>) override {}

 private:
  const std::shared_ptr<log_queue> queue_;
  const bool whole_lines_;
};

struct running_log {
  std::shared_ptr<log_queue> queue;
  std::shared_ptr<log_writer> writer;
  std::shared_ptr<spdlog::logger> main, access;
  std::thread thread;
  std::future<void> ended;
};

/// This object is never destroyed, because the writing thread may outlive main().
running_log& running() {
  static auto& log = *new running_log;
  return log;
}

/// Blocks all signals on this thread: other threads wait for them, and SIGPIPE from a closed stdout would end
/// the process.
void block_signals() {
  sigset_t all;
  sigfillset(&all);
  pthread_sigmask(SIG_BLOCK, &all, nullptr);
}

}  // namespace

void start_logging(const settings& values) {
  start_logging(values, STDOUT_FILENO, ::isatty(STDOUT_FILENO) == 1 ? log_format::text : log_format::json);
}

void start_logging(const settings& values, int fd, log_format format) {
  stop_logging();
  running_log log;
  log.queue = std::make_shared<log_queue>(places_per_thread * values.thread_count());
  log.writer = std::make_shared<log_writer>(fd, format, log.queue);
  const auto make = [&](const char* name, bool whole_lines) {
    auto logger =
        std::make_shared<spdlog::logger>(name, std::make_shared<queue_sink>(log.queue, whole_lines));
    logger->set_level(to_spdlog(values.log_level));
    return logger;
  };
  log.main = make("main", false);
  log.access = make("access", true);
  std::promise<void> written;
  log.ended = written.get_future();
  log.thread = std::thread{[writer = log.writer, written = std::move(written)]() mutable {
    block_signals();
    writer->run();
    written.set_value();
  }};
  spdlog::set_default_logger(log.main);
  set_access_logger(log.access.get(), format);
  running() = std::move(log);
}

void set_log_level(log_level level) {
  spdlog::set_level(to_spdlog(level));
  // spdlog::set_level() reaches the default logger and registered ones, but not the access logger.
  if (const auto& access = running().access) access->set_level(to_spdlog(level));
}

void stop_logging() {
  running_log log = std::exchange(running(), {});
  if (!log.writer) return;
  set_access_logger(nullptr, log_format::text);
  spdlog::set_default_logger(
      std::make_shared<spdlog::logger>("stopped", std::make_shared<spdlog::sinks::null_sink_mt>()));

  // If the writing thread is stuck in write(), it is left running. It uses only objects that it owns.
  const auto at_risk = log.writer->lines_at_risk();
  log.writer->hurry();
  log.queue->close();
  if (log.ended.wait_for(longest_stop) == std::future_status::ready) {
    log.thread.join();
    return;
  }
  log.thread.detach();
  say_on_stderr("llm-proxy: warning: the log's reader is stuck: up to " + std::to_string(at_risk) +
                " log lines are lost\n");
}

}  // namespace llm_proxy
