// What the whole service knows of its own state: shared by all threads, read by GET /health/ready.
#pragma once

#include <atomic>
#include <cstddef>

namespace llm_proxy {

struct service_health {
  /// It has been told to end: no balancer should send it more.
  std::atomic<bool> draining{false};
  /// Upstreams that can be reached, as far as is known: usable until something says otherwise.
  std::atomic<std::size_t> usable_upstreams{1};

  bool ready() const { return !draining.load() && usable_upstreams.load() > 0; }
};

}  // namespace llm_proxy
