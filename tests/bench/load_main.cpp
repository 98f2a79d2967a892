// bench_load: one thread, one epoll; asks bench_upstream for answers through whatever is to be measured,
// checks every byte that comes back, and prints one JSON object.
//   requests  C keep-alive connections, each asks again as soon as it has its answer
//   streams   C streams at a time, each of N events every D ms (0: unpaced); as one ends a new one begins
//   hold      opens C streams of one event per D ms (1,000) and holds them: memory and descriptors
// Exit code: 0 all answers right, 1 some wrong, 2 usage, 3 the target cannot be reached.

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
