// A flat buffer that socket reads fill at its end and parsers consume at its front.
#pragma once

#include <cstddef>
#include <cstring>
#include <memory>
#include <string_view>

namespace llm_proxy {

class byte_buffer {
 public:
  std::string_view view() const { return {data_.get() + begin_, end_ - begin_}; }
  std::size_t size() const { return end_ - begin_; }
  bool empty() const { return begin_ == end_; }

  /// Room for at least `n` more bytes behind the ones held. It stays where it is until commit(): a read that
  /// is under way writes into it, whatever is consumed meanwhile.
  char* prepare(std::size_t n) {
    prepared_ = true;
    if (capacity_ - end_ < n) make_room(n);
    return data_.get() + end_;
  }
  /// Bytes that prepare()'s room really has.
  std::size_t room() const { return capacity_ - end_; }
  void commit(std::size_t n) {
    end_ += n;
    prepared_ = false;
  }
  void consume(std::size_t n) {
    begin_ += n;
    if (begin_ == end_ && !prepared_) begin_ = end_ = 0;
  }
  /// Frees the memory if nothing is held and it is larger than `keep` bytes.
  void shrink(std::size_t keep) {
    if (empty() && !prepared_ && capacity_ > keep) {
      data_.reset();
      begin_ = end_ = capacity_ = 0;
    }
  }

 private:
  void make_room(std::size_t n) {
    const auto held = size();
    if (begin_ > 0 && capacity_ - held >= n) {
      std::memmove(data_.get(), data_.get() + begin_, held);
    } else {
      const auto wanted = held + n;
      std::unique_ptr<char[]> larger{new char[wanted]};
      if (held > 0) std::memcpy(larger.get(), data_.get() + begin_, held);
      data_ = std::move(larger);
      capacity_ = wanted;
    }
    begin_ = 0;
    end_ = held;
  }

  std::unique_ptr<char[]> data_;
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
  std::size_t capacity_ = 0;
  bool prepared_ = false;
};

}  // namespace llm_proxy
