// The command line of bench_load.
#pragma once

#include "wire.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <sys/types.h>
#include <utility>
#include <vector>

namespace bench {

enum class scenario : uint8_t { requests, streams, hold };

struct options {
  scenario kind = scenario::requests;
  std::string name;
  std::string host = "127.0.0.1";
  uint16_t port = 0;
  std::string key = "bench-key";
  std::string path = "/v1/chat/completions";
  size_t connections = 64;
  uint64_t events = 100;
  uint64_t delay_ms = 0;
  uint64_t batch = 0;
  double duration = 4;
  double warmup = 1;
  double settle = 0;    // hold: at most this long until RSS and fds are read again
  double timeout = 10;  // so many seconds without a byte are an error
  bool once = false;
  size_t body_bytes = 0;
  size_t event_bytes = default_event_bytes;
  size_t answer_bytes = default_answer_bytes;
  std::string fault;
  std::vector<pid_t> pids;
  std::vector<pid_t> reference_pids;
  std::vector<std::pair<std::string, std::string>> tags;
};

/// Returns nullopt if the command line is invalid.
std::optional<options> read_options(int argc, char** argv);
void print_usage();

}  // namespace bench
