// A program that a test runs in an environment and a directory of its own. The test reads its output and
// waits for its end.
#pragma once

#include "support/http_client.hpp"

#include <cstddef>
#include <map>
#include <string>
#include <string_view>
#include <sys/types.h>
#include <vector>

namespace llm_proxy::test {

class child_process {
 public:
  struct options {
    std::vector<std::string> arguments;
    std::map<std::string, std::string> environment;  // all variables besides PATH and those of the sanitizers
    std::string directory = "/tmp";
    bool closed_output = false;  // stdout is a pipe without a reader
    std::string output_file;     // stdout is this file instead of a pipe
    std::vector<int> closed{};   // which of the descriptors 0, 1 and 2 are closed at its start
    int listening = -1;          // handed over as descriptor 3, with LISTEN_FDS and LISTEN_PID
    std::size_t max_files = 0;   // its limit on open files; 0: the same as ours
  };

  /// Starts the program; throws std::system_error if that fails.
  child_process(const std::string& program, const options& how);
  /// Kills the program if it still runs.
  ~child_process();
  child_process(const child_process&) = delete;
  child_process& operator=(const child_process&) = delete;

  pid_t pid() const { return pid_; }
  void signal(int number) const;
  /// Reads the output to its end and returns the exit code (128 + n: ended by signal n); -1 if the program
  /// did not end in time.
  int wait(milliseconds timeout);
  /// Reads until stdout contains `text`. Returns false if it does not in time.
  bool wait_for_output(std::string_view text, milliseconds timeout);
  /// Returns the output so far.
  const std::string& out() const { return out_; }
  const std::string& err() const { return err_; }

 private:
  bool read_some(test_clock::time_point deadline);

  pid_t pid_ = -1;
  int out_fd_ = -1;
  int err_fd_ = -1;
  std::string out_;
  std::string err_;
};

}  // namespace llm_proxy::test
