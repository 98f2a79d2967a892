// bench_load requests answers of bench_upstream through the program that is measured, checks every byte of
// them, and prints one JSON object. It uses one thread and one epoll. Its scenarios:
//   requests  C keep-alive connections, each of which sends its next request when it has the answer
//   streams   C streams at a time, each with N events, one every D ms (0: as fast as possible); when one ends
//   a
//             new one begins
//   hold      opens C streams with one event every D ms (1,000) and holds them, to measure memory and
//   descriptors
// Exit code: 0 all answers were right, 1 some were wrong, 2 wrong usage, 3 the target cannot be reached.

#include "load.hpp"
#include "load_options.hpp"

#include <csignal>
#include <memory>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <utility>

int main(int argc, char** argv) {
  auto read = bench::read_options(argc, argv);
  if (!read) {
    bench::print_usage();
    return 2;
  }
  rlimit files{};
  getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
  prctl(PR_SET_TIMERSLACK, 1);
  std::signal(SIGPIPE, SIG_IGN);
  const auto generator = std::make_unique<bench::load>(*std::move(read));
  return generator->run();
}
