#include "config/standard_streams.hpp"

#include <cerrno>
#include <fcntl.h>
#include <unistd.h>

namespace llm_proxy {

bool open_standard_streams() {
  for (int descriptor = STDIN_FILENO; descriptor <= STDERR_FILENO; ++descriptor) {
    if (::fcntl(descriptor, F_GETFD) >= 0 || errno != EBADF) continue;
    // open(2) returns the lowest free number, and the numbers below are open by now.
    const int flags = descriptor == STDIN_FILENO ? O_RDONLY : O_WRONLY;
    if (::open("/dev/null", flags) != descriptor) return false;
  }
  return true;
}

}  // namespace llm_proxy
