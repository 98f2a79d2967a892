// A descriptor that is closed by whoever drops it last.
#pragma once

#include <unistd.h>
#include <utility>

namespace llm_proxy {

/// Holds a descriptor, or none, and closes it.
class owned_descriptor {
 public:
  owned_descriptor() = default;
  explicit owned_descriptor(int descriptor) : descriptor_{descriptor} {}
  ~owned_descriptor() {
    if (descriptor_ >= 0) ::close(descriptor_);
  }
  owned_descriptor(const owned_descriptor&) = delete;
  owned_descriptor& operator=(const owned_descriptor&) = delete;

  /// Only while it holds none.
  void hold(int descriptor) { descriptor_ = descriptor; }
  int get() const { return descriptor_; }
  /// It is the caller's from now on.
  int release() { return std::exchange(descriptor_, -1); }

 private:
  int descriptor_ = -1;
};

}  // namespace llm_proxy
