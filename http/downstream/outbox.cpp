#include "http/downstream/outbox.hpp"

#include <utility>

namespace llm_proxy {

void outbox::add_constant(std::string_view bytes) {
  // What was written before has to be sent first.
  if (first_sent_ == first_.size()) {
    first_.swap(last_);
    first_sent_ = 0;
    last_.clear();
  } else {
    first_ += std::exchange(last_, {});
  }
  constant_ = bytes;
}

std::string_view outbox::front() {
  if (first_sent_ == first_.size()) {
    turn_.give_back(std::move(first_));
    first_sent_ = 0;
    if (constant_.empty()) first_.swap(last_);
  }
  return first_.empty() ? constant_ : std::string_view{first_}.substr(first_sent_);
}

void outbox::sent(std::size_t n) {
  if (first_.empty()) {
    constant_.remove_prefix(n);
  } else {
    first_sent_ += n;
  }
}

}  // namespace llm_proxy
