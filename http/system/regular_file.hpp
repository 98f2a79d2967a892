// Reads files that an operator names. Only regular ones: opening a FIFO or reading a terminal would wait for
// somebody else, and a device such as /dev/zero has no end. Symbolic links to regular files are fine
// (Kubernetes mounts its volumes so).
#pragma once

#include <cstddef>
#include <optional>
#include <string>

namespace llm_proxy {

struct file_text {
  std::string text;
  std::string fault;     ///< what is wrong with it, to be put behind its name; empty: nothing
  bool missing = false;  ///< there is none, or /dev/null, which is mounted to say so; `fault` is not empty
};

/// The whole file, if it has at most `most` bytes. Does not wait to open it; a file system that hangs makes
/// its reading wait.
file_text read_regular_file(const std::string& path, std::size_t most);

/// What read_regular_file() would find wrong before it reads, for those who read by its name: OpenSSL. Empty:
/// nothing; a file of no bytes is a fault.
std::string check_regular_file(const std::string& path, std::size_t most);

/// The most bytes of a file of certificates or of a private key: all authorities of a system take 0.25 MB.
inline constexpr std::size_t largest_pem_file = std::size_t{16} << 20;

}  // namespace llm_proxy
