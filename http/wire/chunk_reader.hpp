// Undoes chunked transfer coding (RFC 9112 §7.1), strictly: Beast's parser takes `0x5` for the last chunk,
// sets no limit on trailers, and asserts on some valid splits.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace llm_proxy {

class chunk_reader {
 public:
  /// Appends the payload in `bytes` to `sink` and returns how many of `bytes` were consumed; the rest is the
  /// begin of a line, to be given again with more behind it, or follows the message. A line that is wrong
  /// whatever follows is broken() before its end has come.
  std::size_t read(std::string_view bytes, std::string& sink);

  /// The last chunk and its trailers (which are dropped) have been read.
  bool done() const { return part_ == part::end; }
  /// This is no chunked coding, or its extensions or trailers are without end.
  bool broken() const { return part_ == part::broken; }
  /// Payload bytes of the chunk at hand that have not been read.
  std::uint64_t left_of_chunk() const { return part_ == part::data ? left_ : 0; }

 private:
  enum class part : std::uint8_t { size_line, data, data_end, trailers, end, broken };

  bool may_become_line(std::string_view begin);
  void take_size(std::string_view line);
  void take_trailer(std::string_view line);

  part part_ = part::size_line;
  std::uint64_t left_ = 0;           // of the chunk at hand
  std::size_t extension_bytes_ = 0;  // of all chunks
  std::size_t trailer_bytes_ = 0;
  std::size_t line_checked_ = 0;  // bytes of a line without its end that were looked at
};

}  // namespace llm_proxy
