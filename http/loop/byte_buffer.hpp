// A flat buffer: reads from a socket fill it at its end, parsers consume it at its front. Its bytes are in
// memory of its own, or for a moment in a buffer that was lent to it, because most bytes are parsed at once
// and never copied.
#pragma once

#include <cstddef>
#include <cstring>
#include <memory>
#include <string_view>
#include <utility>

namespace llm_proxy {

class byte_buffer {
 public:
  std::string_view view() const { return {at_ + begin_, end_ - begin_}; }
  std::size_t size() const { return end_ - begin_; }
  bool empty() const { return begin_ == end_; }

  /// Returns room for at least `n` more bytes behind those that are held. The room does not move before
  /// commit(), so a read may write into it while bytes are consumed.
  char* prepare(std::size_t n) {
    keep();
    prepared_ = true;
    if (capacity_ - end_ < n) make_room(n);
    return at_ + end_;
  }
  /// How many bytes the room of prepare() really has.
  std::size_t room() const { return capacity_ - end_; }
  void commit(std::size_t n) {
    end_ += n;
    prepared_ = false;
  }
  void consume(std::size_t n) {
    begin_ += n;
    if (begin_ == end_ && !prepared_) begin_ = end_ = 0;
  }
  /// Holds the `n` bytes at `bytes` without a copy, until keep(). Only allowed while nothing is held.
  void lend(char* bytes, std::size_t n) {
    lent_ = true;
    at_ = bytes;
    begin_ = 0;
    end_ = n;
  }
  /// Copies lent bytes that are left into memory of its own. If none are left, no memory is taken.
  void keep() {
    if (!std::exchange(lent_, false)) return;
    const auto rest = view();
    capacity_ = rest.size();
    data_.reset(rest.empty() ? nullptr : new char[rest.size()]);
    if (!rest.empty()) std::memcpy(data_.get(), rest.data(), rest.size());
    at_ = data_.get();
    begin_ = 0;
    end_ = capacity_;
  }

  /// Frees the memory if nothing is held and it is larger than `limit` bytes.
  void shrink(std::size_t limit) {
    if (empty() && !lent_ && !prepared_ && capacity_ > limit) {
      data_.reset();
      at_ = nullptr;
      begin_ = end_ = capacity_ = 0;
    }
  }

 private:
  void make_room(std::size_t n) {
    const auto held = size();
    if (begin_ > 0 && capacity_ - held >= n) {
      std::memmove(at_, at_ + begin_, held);
    } else {
      const auto wanted = held + n;
      std::unique_ptr<char[]> larger{new char[wanted]};
      if (held > 0) std::memcpy(larger.get(), at_ + begin_, held);
      data_ = std::move(larger);
      at_ = data_.get();
      capacity_ = wanted;
    }
    begin_ = 0;
    end_ = held;
  }

  std::unique_ptr<char[]> data_;
  char* at_ = nullptr;  // data_, or the lent buffer
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
  std::size_t capacity_ = 0;
  bool prepared_ = false;
  bool lent_ = false;
};

}  // namespace llm_proxy
