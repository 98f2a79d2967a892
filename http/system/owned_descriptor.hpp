// A descriptor with one owner, which closes it.
#pragma once

#include <unistd.h>
#include <utility>

namespace llm_proxy {

/// Holds one descriptor or none. The destructor closes it.
class owned_descriptor {
 public:
  owned_descriptor() = default;
  explicit owned_descriptor(int descriptor) : descriptor_{descriptor} {}
  ~owned_descriptor() {
    if (descriptor_ >= 0) ::close(descriptor_);
  }
  owned_descriptor(owned_descriptor&& other) noexcept : descriptor_{other.release()} {}
  owned_descriptor(const owned_descriptor&) = delete;
  owned_descriptor& operator=(const owned_descriptor&) = delete;

  /// To be called only while it holds no descriptor.
  void hold(int descriptor) { descriptor_ = descriptor; }
  int get() const { return descriptor_; }
  /// Returns the descriptor, which belongs to the caller from now on.
  int release() { return std::exchange(descriptor_, -1); }

 private:
  int descriptor_ = -1;
};

}  // namespace llm_proxy
