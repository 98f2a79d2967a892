// Files of a test in their own folder, and things that are not regular files, which an operator may name by
// mistake.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <sys/stat.h>
#include <vector>

namespace llm_proxy::test {

/// A directory that is removed with this object.
class file_folder {
 public:
  file_folder() {
    std::string pattern = std::filesystem::temp_directory_path() / "llm-proxy-files-XXXXXX";
    if (::mkdtemp(pattern.data()) == nullptr) throw std::runtime_error{"mkdtemp"};
    path_ = pattern;
  }
  ~file_folder() { std::filesystem::remove_all(path_); }
  file_folder(const file_folder&) = delete;
  file_folder& operator=(const file_folder&) = delete;

  std::string path() const { return path_; }
  std::string path(std::string_view name) const { return path_ / name; }
  /// Writes a file and returns its path.
  std::string write(std::string_view name, std::string_view text) const {
    std::filesystem::remove_all(path_ / name);
    std::ofstream{path_ / name, std::ios::binary} << text;
    return path(name);
  }
  /// Creates a FIFO to which nobody writes, and returns its path.
  std::string put_fifo(std::string_view name) const {
    std::filesystem::remove_all(path_ / name);
    if (::mkfifo(path(name).c_str(), 0600) != 0) throw std::runtime_error{"mkfifo"};
    return path(name);
  }
  std::string put_link(std::string_view name, std::string_view target) const {
    std::filesystem::remove_all(path_ / name);
    std::filesystem::create_symlink(target, path_ / name);
    return path(name);
  }
  std::string put_folder(std::string_view name) const {
    std::filesystem::remove_all(path_ / name);
    std::filesystem::create_directory(path_ / name);
    return path(name);
  }
  /// Creates a file of `bytes` bytes that takes no room on the disk, and returns its path.
  std::string put_sparse(std::string_view name, std::size_t bytes) const {
    write(name, "");
    std::filesystem::resize_file(path_ / name, bytes);
    return path(name);
  }

 private:
  std::filesystem::path path_;
};

struct odd_file {
  std::string path;
  std::string fault;  ///< a part of the error message for it
};

/// Returns a FIFO, an endless device and a directory; the names begin with `name`.
inline std::vector<odd_file> odd_files(const file_folder& folder, const std::string& name) {
  return {{folder.put_fifo(name + "-fifo"), "is a pipe (FIFO)"},
          {folder.put_link(name + "-zero", "/dev/zero"), "is a device"},
          {folder.put_folder(name + "-folder"), "is a directory"}};
}

}  // namespace llm_proxy::test
