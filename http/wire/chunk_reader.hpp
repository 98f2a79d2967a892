// Decodes chunked transfer coding (RFC 9112 §7.1), strictly. It is our own, because Beast's parser takes
// `0x5` for the last chunk, sets no limit on trailers, and asserts on some valid splits.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace llm_proxy {

class chunk_reader {
 public:
  /// Appends the payload in `bytes` to `sink` and returns how many of `bytes` were consumed; the rest follows
  /// the message, or is the beginning of a line and must be given again with more bytes after it. If a line
  /// is wrong whatever follows, broken() is true before its end has come.
  std::size_t read(std::string_view bytes, std::string& sink);

  /// Whether the last chunk and its trailers (which are dropped) have been read.
  bool done() const { return part_ == part::end; }
  /// Whether this is not chunked coding, or its lines, extensions or trailers are too long.
  bool broken() const { return part_ == part::broken; }
  /// Returns how many payload bytes of the current chunk have not been read.
  std::uint64_t left_of_chunk() const { return part_ == part::data ? left_ : 0; }

 private:
  enum class part : std::uint8_t { size_line, data, data_end, trailers, end, broken };

  bool may_become_line(std::string_view begin);
  void take_size(std::string_view line);
  void take_trailer(std::string_view line);

  part part_ = part::size_line;
  std::uint64_t left_ = 0;           // payload bytes of the current chunk
  std::size_t extension_bytes_ = 0;  // of all chunks
  std::size_t trailer_bytes_ = 0;
  std::size_t line_checked_ = 0;  // bytes of an unfinished line that were checked
};

}  // namespace llm_proxy
