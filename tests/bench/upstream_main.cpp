// bench_upstream is an OpenAI-like server that needs little CPU time, for measuring the program in front of
// it. It uses one thread and one epoll. The request's body says what to send:
//   "stream":true              an event stream; otherwise one JSON answer
//   "max_tokens":N             events per stream (default --events)
//   "bench_delay_ms":D         between two events, or before a JSON answer; 0: as fast as the socket accepts
//   "bench_event_bytes":B, "bench_answer_bytes":B, "bench_batch":K (with D = 0: events per send)
//   "bench_id":I               is repeated in every event and answer
//   "bench_fault":"…"          breaks this answer on purpose, to prove that bench_load notices it
// GET /bench/stats returns the counters so far.

#include "upstream.hpp"

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string_view>
#include <sys/prctl.h>
#include <sys/resource.h>

namespace {

int usage() {
  std::fprintf(
      stderr,
      "usage: bench_upstream [--host 127.0.0.1] [--port 0] [--events 10] [--delay-ms 0] [--batch 1]\n"
      "                      [--tick-us 100] [--fault NAME --fault-every N]\n"
      "Prints \"listening on PORT\"; SIGTERM ends it with its counters on stdout. Faults:");
  for (const auto name : bench::fault_names)
    std::fprintf(stderr, " %.*s", static_cast<int>(name.size()), name.data());
  std::fprintf(stderr, "\n");
  return 2;
}

}  // namespace

int main(int argc, char** argv) {
  bench::options o;
  for (int i = 1; i < argc; i += 2) {
    const std::string_view name = argv[i];
    if (i + 1 == argc) return usage();
    const char* value = argv[i + 1];
    const uint64_t number = std::strtoull(value, nullptr, 10);
    if (name == "--host") {
      o.host = value;
    } else if (name == "--port") {
      o.port = static_cast<uint16_t>(number);
    } else if (name == "--events") {
      o.events = number;
    } else if (name == "--delay-ms") {
      o.delay_ms = number;
    } else if (name == "--batch") {
      o.batch = number;
    } else if (name == "--tick-us") {
      o.tick_us = std::max<uint64_t>(number, 1);
    } else if (name == "--fault") {
      o.broken = bench::fault_named(value);
      if (o.broken == bench::fault::none) return usage();
    } else if (name == "--fault-every") {
      o.fault_every = number;
    } else {
      return usage();
    }
  }
  rlimit files{};
  getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
  prctl(PR_SET_TIMERSLACK, 1);
  struct sigaction action {};
  action.sa_handler = [](int) { bench::stopped = 1; };
  sigaction(SIGTERM, &action, nullptr);
  sigaction(SIGINT, &action, nullptr);
  auto server = std::make_unique<bench::upstream>(o);
  if (!server->listen()) {
    std::perror("bench_upstream: cannot listen");
    return 1;
  }
  std::printf("listening on %u\n", server->port());
  std::fflush(stdout);
  server->run();
  std::printf("%s", server->stats_json().c_str());
  return 0;
}
