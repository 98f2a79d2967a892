#include "support/child_process.hpp"

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <system_error>
#include <thread>
#include <unistd.h>
#include <utility>

namespace llm_proxy::test {

namespace {

std::array<int, 2> make_pipe() {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) throw std::system_error{errno, std::generic_category(), "pipe2"};
  return ends;
}

int milliseconds_left(test_clock::time_point deadline) {
  const auto left = std::chrono::duration_cast<milliseconds>(deadline - test_clock::now()).count();
  return left < 0 ? 0 : static_cast<int>(left) + 1;
}

}  // namespace

child_process::child_process(const std::string& program, const options& how) {
  const auto out = make_pipe();
  const auto err = make_pipe();
  // Between fork and exec only async-signal-safe functions may be called, so everything is prepared here.
  std::vector<std::string> environment;
  for (const auto& [name, value] : how.environment) environment.push_back(name + "=" + value);
  for (const auto* name : {"PATH", "ASAN_OPTIONS", "UBSAN_OPTIONS", "LSAN_OPTIONS", "TSAN_OPTIONS"}) {
    if (const char* value = std::getenv(name)) environment.push_back(std::string{name} + "=" + value);
  }
  if (how.listening >= 0) {
    environment.push_back("LISTEN_FDS=1");
    environment.push_back("LISTEN_PID=0000000000");  // filled in by the child
  }
  std::vector<std::string> words{program};
  words.insert(words.end(), how.arguments.begin(), how.arguments.end());
  const auto pointers = [](std::vector<std::string>& texts) {
    std::vector<char*> all;
    for (auto& text : texts) all.push_back(text.data());
    all.push_back(nullptr);
    return all;
  };
  auto argv = pointers(words);
  auto envp = pointers(environment);
  const int file =
      how.output_file.empty() ? -1 : ::open(how.output_file.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  pid_ = ::fork();
  if (pid_ == 0) {
    ::dup2(file >= 0 ? file : out[1], STDOUT_FILENO);
    ::dup2(err[1], STDERR_FILENO);
    for (const int descriptor : how.closed) ::close(descriptor);
    if (how.listening >= 0) {
      auto pid = ::getpid();
      char* variable = envp[environment.size() - 1];
      for (auto at = std::strlen(variable); pid > 0; pid /= 10)
        variable[--at] = static_cast<char>('0' + pid % 10);
      if (how.listening == 3) {
        ::fcntl(3, F_SETFD, 0);
      } else {
        ::dup2(how.listening, 3);
      }
    }
    if (how.max_files > 0) {
      const rlimit limit{how.max_files, how.max_files};
      ::setrlimit(RLIMIT_NOFILE, &limit);
    }
    if (::chdir(how.directory.c_str()) == 0) ::execve(program.c_str(), argv.data(), envp.data());
    ::_exit(127);
  }
  ::close(out[1]);
  ::close(err[1]);
  if (file >= 0) ::close(file);
  out_fd_ = out[0];
  err_fd_ = err[0];
  if (pid_ < 0) throw std::system_error{errno, std::generic_category(), "fork"};
  if (how.closed_output) ::close(std::exchange(out_fd_, -1));
}

child_process::~child_process() {
  if (pid_ > 0) {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
  for (const int fd : {out_fd_, err_fd_}) {
    if (fd >= 0) ::close(fd);
  }
}

void child_process::signal(int number) const {
  if (pid_ > 0) ::kill(pid_, number);
}

bool child_process::read_some(test_clock::time_point deadline) {
  std::array<pollfd, 2> ends{pollfd{out_fd_, POLLIN, 0}, pollfd{err_fd_, POLLIN, 0}};
  if (out_fd_ < 0 && err_fd_ < 0) return false;
  if (::poll(ends.data(), ends.size(), milliseconds_left(deadline)) <= 0) return false;
  std::array<char, 16 * 1024> bytes{};
  const auto take = [&](const pollfd& end, int& fd, std::string& text) {
    if (end.revents == 0) return;
    const auto count = ::read(fd, bytes.data(), bytes.size());
    if (count > 0) {
      text.append(bytes.data(), static_cast<std::size_t>(count));
    } else {
      ::close(std::exchange(fd, -1));
    }
  };
  take(ends[0], out_fd_, out_);
  take(ends[1], err_fd_, err_);
  return true;
}

bool child_process::wait_for_output(std::string_view text, milliseconds timeout) {
  const auto deadline = test_clock::now() + timeout;
  while (out_.find(text) == std::string::npos) {
    if (!read_some(deadline)) return false;
  }
  return true;
}

int child_process::wait(milliseconds timeout) {
  const auto deadline = test_clock::now() + timeout;
  while (read_some(deadline)) {
  }
  int status = 0;
  while (::waitpid(pid_, &status, WNOHANG) == 0) {
    if (test_clock::now() > deadline) return -1;
    std::this_thread::sleep_for(milliseconds{2});
  }
  pid_ = -1;
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

}  // namespace llm_proxy::test
