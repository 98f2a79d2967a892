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
template <class Input, class Result>
class background_reader {
 public:
  /// `read` must not throw.
  explicit background_reader(std::function<Result(const Input&)> read)
      : shared_{std::make_shared<shared>(std::move(read))} {}

  /// Begins to read, with a copy of `input`. If it is reading already, requested_again() is true after that.
  /// Throws std::system_error if no thread can be started.
  void request(const Input& input) {
    if (reading_) {
      again_ = true;
      return;
    }
    std::thread{[with = shared_, input] {
      auto result = with->read(input);
      const std::lock_guard lock{with->changing};
      with->result = std::move(result);
      with->ready.signal();
    }}.detach();
    reading_ = true;
  }

  /// Returns what was read, once; nullopt while there is no new result.
  std::optional<Result> take() {
    std::optional<Result> result;
    {
      const std::lock_guard lock{shared_->changing};
      result = std::exchange(shared_->result, std::nullopt);
      if (result) shared_->ready.reset();
    }
    if (result) reading_ = false;
    return result;
  }

  /// Whether request() was called, however often, during the read whose result was taken. Returns true only
  /// once. The caller then requests another read, after it has used the result, which may change the input.
  bool requested_again() { return !reading_ && std::exchange(again_, false); }

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
    explicit shared(std::function<Result(const Input&)> function) : read{std::move(function)} {}
    const std::function<Result(const Input&)> read;
    std::mutex changing;
    std::optional<Result> result;
    event ready;
  };

  std::shared_ptr<shared> shared_;
  bool reading_ = false;
  bool again_ = false;
};

}  // namespace llm_proxy
