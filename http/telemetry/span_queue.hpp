// Finished spans on their way from the I/O threads to the thread that exports them. The queue is bounded: a
// span that finds no room is counted and dropped, and no thread waits.
//
// It uses a lock instead of one message per span, so the exporter's thread is woken once per batch.
#pragma once

#include "http/telemetry/otlp.hpp"

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <mutex>
#include <utility>
#include <vector>

namespace llm_proxy {

class span_queue {
 public:
  /// `most`: how many spans may wait; `batch`: how many are exported together.
  span_queue(std::size_t most, std::size_t batch) : most_{most}, batch_{batch} {}

  /// Returns true when a batch is complete and the exporter must be told.
  bool push(span_record&& span) {
    const std::lock_guard lock{changing_};
    if (waiting_.size() >= most_) {
      dropped_.fetch_add(1, std::memory_order_relaxed);
      return false;
    }
    waiting_.push_back(std::move(span));
    return waiting_.size() == batch_;
  }
  /// Removes and returns the oldest spans, at most one batch.
  std::vector<span_record> take() {
    const std::lock_guard lock{changing_};
    std::vector<span_record> taken;
    while (!waiting_.empty() && taken.size() < batch_) {
      taken.push_back(std::move(waiting_.front()));
      waiting_.pop_front();
    }
    return taken;
  }
  bool has_batch() const { return size() >= batch_; }
  std::size_t size() const {
    const std::lock_guard lock{changing_};
    return waiting_.size();
  }

  // Counts of spans so far. May be called from any thread.
  void note_exported(std::uint64_t count) { exported_.fetch_add(count, std::memory_order_relaxed); }
  void note_dropped(std::uint64_t count) { dropped_.fetch_add(count, std::memory_order_relaxed); }
  std::uint64_t exported() const { return exported_.load(std::memory_order_relaxed); }
  std::uint64_t dropped() const { return dropped_.load(std::memory_order_relaxed); }

 private:
  const std::size_t most_;
  const std::size_t batch_;
  mutable std::mutex changing_;
  std::deque<span_record> waiting_;
  std::atomic<std::uint64_t> exported_{0};
  std::atomic<std::uint64_t> dropped_{0};
};

}  // namespace llm_proxy
