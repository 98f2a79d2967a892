#include "config/log_writer.hpp"

#include "config/log_losses.hpp"
#include "config/log_safe.hpp"

#include <cerrno>
#include <chrono>
#include <cstring>
#include <exception>
#include <poll.h>
#include <thread>
#include <unistd.h>
#include <utility>

namespace llm_proxy {

namespace {

using namespace std::chrono_literals;

constexpr std::size_t batch_bytes = 64 * 1024;
/// The writer pauses this long after each batch. Lines that arrive meanwhile share one write, and their I/O
/// threads need not wake the writer. The first line after a quiet time is written at once. If the pause were
/// longer, the lines of a busy thread would become a burst that other threads of its core wait for (at 40 ms:
/// 0.4 ms of a request's p99), or they would overrun the queue.
constexpr auto rest_after_batch = 10ms;

std::size_t count_lines(std::string_view text) {
  std::size_t lines = 0;
  for (auto end = text.find('\n'); end != std::string_view::npos; end = text.find('\n', end + 1)) ++lines;
  return lines;
}

}  // namespace

void say_on_stderr(const std::string& line) {
  pollfd ready{STDERR_FILENO, POLLOUT, 0};
  if (::poll(&ready, 1, 0) <= 0 || (ready.revents & POLLOUT) == 0) return;
  [[maybe_unused]] const auto written = ::write(STDERR_FILENO, line.data(), line.size());
}

log_writer::log_writer(int fd, log_format format, std::shared_ptr<log_queue> queue)
    : fd_{fd}, lines_{format}, queue_{std::move(queue)} {}

void log_writer::run() {
  log_entry entry;
  while (queue_->pop(entry)) {
    try {
      append(entry);
      const bool more = !queue_->empty();
      if (more && batch_.size() < batch_bytes) continue;
      write_batch();
      if (!more) rest();
    } catch (const std::exception&) {  // out of memory: the service goes on without these lines
      lose(batch_lines_.exchange(0), ENOMEM);
      batch_.clear();
    }
  }
  write_batch();
}

std::size_t log_writer::lines_at_risk() const {
  return queue_->lines_waiting() + batch_lines_ + queue_->lines_dropped() - reported_dropped_ + unwritten_ -
         reported_unwritten_;
}

void log_writer::append(const log_entry& entry) {
  batch_lines_ += entry.lines;
  if (entry.whole_lines)
    ::llm_proxy::append(batch_, entry.text);
  else
    lines_.add_message(entry.time, entry.level, entry.text, batch_);
}

void log_writer::rest() const {
  if (!hurry_) std::this_thread::sleep_for(rest_after_batch);
}

void log_writer::write_batch() {
  std::string_view left{batch_.data(), batch_.size()};
  int error = report_losses();
  if (error == 0) error = write_all(left);
  // A line that was written only in part counts as lost.
  if (error == 0)
    failing_ = false;
  else
    lose(count_lines(left), error);
  batch_.clear();
  batch_lines_ = 0;
}

/// Reports lost lines before the lines that follow. If that fails, it is tried again with the next batch.
/// Returns the errno of a failed write, or 0.
int log_writer::report_losses() {
  const auto dropped = queue_->lines_dropped();
  const std::size_t unwritten = unwritten_;
  if (dropped == reported_dropped_ && unwritten == reported_unwritten_) return 0;
  spdlog::memory_buf_t report;
  const auto tell = [&](std::size_t lines, std::string_view why) {
    if (lines == 0) return;
    const auto text = std::to_string(lines) + " log lines lost: " + std::string{why};
    lines_.add_message(spdlog::log_clock::now(), spdlog::level::warn, text, report);
  };
  tell(dropped - reported_dropped_, "the log can't be written as fast as it grows");
  tell(unwritten - reported_unwritten_, "the log could not be written: " + why_unwritten_);
  std::string_view left{report.data(), report.size()};
  if (const int error = write_all(left); error != 0) return error;
  reported_dropped_ = dropped;
  reported_unwritten_ = unwritten;
  return 0;
}

/// Writes `rest` and removes what was written from it. Returns 0 if all is written, otherwise the errno that
/// stopped it.
int log_writer::write_all(std::string_view& rest) {
  // If the last write ended inside a line, that line is ended first, so that the next one does not continue
  // it.
  constexpr std::string_view line_end = "\n";
  if (torn_ && !rest.empty() && rest != line_end) {
    auto end = line_end;
    if (const int error = write_all(end); error != 0) return error;
  }
  while (!rest.empty()) {
    const auto written = ::write(fd_, rest.data(), rest.size());
    if (written > 0) {
      torn_ = rest[static_cast<std::size_t>(written) - 1] != '\n';
      rest.remove_prefix(static_cast<std::size_t>(written));
    } else if (written == 0) {
      return EIO;
    } else if (errno == EAGAIN) {  // another process made the shared descriptor non-blocking
      pollfd ready{fd_, POLLOUT, 0};
      ::poll(&ready, 1, -1);
    } else if (errno != EINTR) {
      return errno;
    }
  }
  return 0;
}

/// Counts lost lines. The service goes on without its log if it cannot be written.
void log_writer::lose(std::size_t lines, int error) {
  unwritten_ += lines;
  why_unwritten_ = std::strerror(error);
  count_lost_log_lines(lines, error);
  if (std::exchange(failing_, true)) return;
  say_on_stderr("llm-proxy: warning: the log cannot be written: " + why_unwritten_ +
                "; its lines are lost until it can be again\n");
}

}  // namespace llm_proxy
