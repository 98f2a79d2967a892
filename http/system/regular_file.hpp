// Reads files that an operator names. Only regular files are accepted: opening a FIFO or reading a terminal
// would wait for somebody else, and a device such as /dev/zero has no end. Symbolic links to regular files
// are fine (Kubernetes mounts its volumes with them).
#pragma once

#include <cstddef>
#include <optional>
#include <string>

namespace llm_proxy {

struct file_text {
  std::string text;
  std::string fault;     ///< what is wrong with it, to be put after its name; empty if nothing is
  bool missing = false;  ///< there is no file, or it is /dev/null, mounted to say that; `fault` is set
};

/// Returns the whole file, if it has at most `most` bytes. Opening it does not block, but reading it blocks
/// if the file system hangs.
file_text read_regular_file(const std::string& path, std::size_t most);

/// Returns what read_regular_file() would find wrong before it reads, for files that OpenSSL reads by name.
/// Empty if nothing is wrong. A file without bytes is a fault here.
std::string check_regular_file(const std::string& path, std::size_t most);

/// The most bytes of a file of certificates or of a private key: all authorities of a system take 0.25 MB.
inline constexpr std::size_t largest_pem_file = std::size_t{16} << 20;

}  // namespace llm_proxy
