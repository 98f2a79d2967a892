#include "http/system/regular_file.hpp"

#include "http/system/owned_descriptor.hpp"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

namespace llm_proxy {

namespace {

constexpr std::size_t block = std::size_t{64} << 10;

std::string cannot_be_read(int why) {
  return std::string{"cannot be read: "} + std::strerror(why);
}

std::string too_large(std::size_t most) {
  constexpr std::size_t mib = std::size_t{1} << 20;
  return "is larger than " +
         (most % mib == 0 ? std::to_string(most / mib) + " MiB" : std::to_string(most) + " bytes");
}

std::string kind_of(const struct stat& about) {
  if (S_ISDIR(about.st_mode)) return "is a directory";
  if (S_ISFIFO(about.st_mode)) return "is a pipe (FIFO), and no regular file";
  if (S_ISSOCK(about.st_mode)) return "is a socket, and no regular file";
  return "is a device, and no regular file";
}

bool is_dev_null(const struct stat& about) {
  return S_ISCHR(about.st_mode) && about.st_rdev == makedev(1, 3);
}

class open_file {
 public:
  open_file(const std::string& path, std::size_t most) {
    // With O_NONBLOCK, opening a FIFO or a device does not wait for its other end.
    descriptor_.hold(::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY));
    struct stat about {};
    if (get() < 0) {
      problem.missing = errno == ENOENT || errno == ENOTDIR;
      problem.fault = errno == ENXIO ? "is a socket, and no regular file" : cannot_be_read(errno);
    } else if (::fstat(get(), &about) != 0) {
      problem.fault = cannot_be_read(errno);
    } else if (!S_ISREG(about.st_mode)) {
      problem.missing = is_dev_null(about);
      problem.fault = kind_of(about);
    } else if (about.st_size > 0 && static_cast<std::size_t>(about.st_size) > most) {
      problem.fault = too_large(most);
    }
  }

  int get() const { return descriptor_.get(); }

  file_text problem;  // `fault` is empty if the file can be read

 private:
  owned_descriptor descriptor_;
};

}  // namespace

file_text read_regular_file(const std::string& path, std::size_t most) {
  open_file file{path, most};
  if (!file.problem.fault.empty()) return std::move(file.problem);
  file_text read;
  std::size_t size = 0;
  while (true) {
    // The size is not known before: the file may grow meanwhile, and files of /proc say that they are empty.
    read.text.resize(size + block);
    const auto count = ::read(file.get(), read.text.data() + size, block);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) {
      read = {};
      read.fault = cannot_be_read(errno);
      return read;
    }
    size += static_cast<std::size_t>(count);
    if (size > most) {
      read = {};
      read.fault = too_large(most);
      return read;
    }
    if (count == 0) break;
  }
  read.text.resize(size);
  return read;
}

std::string check_regular_file(const std::string& path, std::size_t most) {
  const open_file file{path, most};
  if (!file.problem.fault.empty()) return file.problem.fault;
  char first = 0;
  if (::read(file.get(), &first, 1) == 1) return {};
  return "is empty";
}

}  // namespace llm_proxy
