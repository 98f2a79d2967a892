// A program run by a test: its own environment and directory, its output read, its end waited for.
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
    std::map<std::string, std::string> environment;  // all of it, beside PATH and the sanitizers'
    std::string directory = "/tmp";
    bool closed_output = false;  // stdout's reader is gone from the start
    std::string output_file;     // what stdout is, instead of a pipe that is read here
    std::vector<int> closed{};   // descriptors of 0, 1 and 2 that it begins without
    int listening = -1;          // handed over as descriptor 3, with LISTEN_FDS and LISTEN_PID
    std::size_t max_files = 0;   // its limit on open files; 0: as here
  };

  /// Starts it; throws std::system_error when that fails.
  child_process(const std::string& program, const options& how);
  /// Kills it if it still runs.
  ~child_process();
  child_process(const child_process&) = delete;
  child_process& operator=(const child_process&) = delete;

  pid_t pid() const { return pid_; }
  void signal(int number) const;
  /// Its exit code (128 + n: ended by signal n), output read to the end; -1 when it did not end in time.
  int wait(milliseconds timeout);
  /// Reads until stdout holds `text`; false when it does not come.
  bool wait_for_output(std::string_view text, milliseconds timeout);
  /// What came so far.
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
