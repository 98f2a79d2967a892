// Runs the program as it was built, in a process of its own, so that tests can measure its memory and its
// open descriptors.
#pragma once

#include "support/child_process.hpp"
#include "support/raw_requests.hpp"
#include "support/upstream_chat.hpp"

#include <cstddef>
#include <cstdint>
#include <exception>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <memory>
#include <string>
#include <unistd.h>
#include <utility>

namespace llm_proxy::test {

// A sanitizer's own memory is not the program's.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
inline constexpr bool sanitized = true;
#else
inline constexpr bool sanitized = false;
#endif

/// The built program in front of `up`. It logs only errors, because nobody reads the pipe of its log.
class program_under_load {
 public:
  explicit program_under_load(const scripted_upstream& up)
      : program_under_load{{{"LLM_PROXY__LLM_MODE", "litellm"}, {"LLM_PROXY__LITELLM_PROXY_URL", up.url()}}} {
  }
  explicit program_under_load(std::map<std::string, std::string> environment) : port_{refused_port{}.port()} {
    child_process::options how;
    how.environment = std::move(environment);
    how.environment["LLM_PROXY__PORT"] = std::to_string(port_);
    how.environment["LLM_PROXY__THREADS"] = "2";
    how.environment["LLM_PROXY__LOG_LEVEL"] = "ERROR";
    how.environment["LLM_PROXY__INTERNAL_API_KEY"] = test_key;
    child_ = std::make_unique<child_process>(LLM_PROXY_BINARY, how);
    const auto up_now = [this] {
      try {
        return request(port_, "GET", "/health").status == 200;
      } catch (const std::exception&) {
        return false;
      }
    };
    REQUIRE(eventually(up_now, std::chrono::seconds{20}));
  }

  std::uint16_t port() const { return port_; }
  std::size_t rss() const {
    std::ifstream in{"/proc/" + std::to_string(child_->pid()) + "/statm"};
    std::size_t size = 0;
    std::size_t resident = 0;
    in >> size >> resident;
    return resident * static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
  }
  std::size_t descriptors() const {
    const std::filesystem::directory_iterator all{"/proc/" + std::to_string(child_->pid()) + "/fd"};
    return static_cast<std::size_t>(std::distance(begin(all), end(all)));
  }

 private:
  std::uint16_t port_;
  std::unique_ptr<child_process> child_;
};

}  // namespace llm_proxy::test
