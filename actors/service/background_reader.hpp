// Reads something on a thread of its own, because reading may take for ever: for example a file on a mount
// that hangs. The caller does not wait for it, and may end at any time. It then leaves the thread behind.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <sys/eventfd.h>
#include <thread>
#include <unistd.h>
#include <utility>

namespace llm_proxy {

/// All functions must be called from one thread. Only `read` runs on another.
template <class Result>
class background_reader {
 public:
  /// `read` must not throw.
  explicit background_reader(std::function<Result()> read)
      : shared_{std::make_shared<shared>(std::move(read))} {}

  /// Begins to read. If it is reading already, it reads once more after that, however often it was asked.
  /// Throws std::system_error if no thread can be started.
  void request() {
    if (reading_) {
      again_ = true;
      return;
    }
    std::thread{[with = shared_] {
      auto result = with->read();
      const std::lock_guard lock{with->changing};
      with->result = std::move(result);
      with->ready.signal();
    }}.detach();
    reading_ = true;
  }

  /// Returns what was read, once; nullopt while there is no new result. Then begins to read again, if that
  /// was requested meanwhile.
  std::optional<Result> take() {
    std::optional<Result> result;
    {
      const std::lock_guard lock{shared_->changing};
      result = std::exchange(shared_->result, std::nullopt);
      if (result) shared_->ready.reset();
    }
    if (!result) return result;
    reading_ = false;
    if (std::exchange(again_, false)) request();
    return result;
  }

  bool reading() const { return reading_; }
  /// Returns a descriptor that is readable while take() has a result.
  int ready_descriptor() const { return shared_->ready.descriptor; }

 private:
  struct event {
    event() = default;
    event(const event&) = delete;
    event& operator=(const event&) = delete;
    ~event() { ::close(descriptor); }
    void signal() const { ::eventfd_write(descriptor, 1); }
    void reset() const {
      eventfd_t value = 0;
      ::eventfd_read(descriptor, &value);
    }
    int descriptor = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  };
  /// The data that the thread uses. The thread may outlive the reader.
  struct shared {
    explicit shared(std::function<Result()> function) : read{std::move(function)} {}
    const std::function<Result()> read;
    std::mutex changing;
    std::optional<Result> result;
    event ready;
  };

  std::shared_ptr<shared> shared_;
  bool reading_ = false;
  bool again_ = false;
};

}  // namespace llm_proxy
