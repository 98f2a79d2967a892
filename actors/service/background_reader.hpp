// Reads something on a thread of its own, which may take for ever: a file of a mount that hangs. Whoever
// asked for it goes on, and ends when it wants to; the thread is then left behind.
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

/// All but the read itself is for one thread.
template <class Result>
class background_reader {
 public:
  /// `read` must not throw.
  explicit background_reader(std::function<Result()> read)
      : shared_{std::make_shared<shared>(std::move(read))} {}

  /// Begins to read; while it is reading already, remembers (once) that it has to be done again after that.
  /// Throws std::system_error where there can be no thread.
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

  /// What was read, once; nothing while it is reading. Reads again then, if that was asked for meanwhile.
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
  /// Readable while take() has something.
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
  /// What the thread needs, which may outlive the reader.
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
