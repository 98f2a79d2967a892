// The interface to which an answer is written. A connection implements it and frames the answer as HTTP/1.1.
// Another kind of writer can make messages of the same bytes.
#pragma once

#include "http/wire/message.hpp"

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace llm_proxy {

/// How the client learns where an answer ends (RFC 9112 §6).
enum class body_framing : std::uint8_t { content_length, chunked, until_close };

class reply_writer {
 public:
  /// Writes status line and headers. `length` is only used with body_framing::content_length. An answer to
  /// HTTP/1.0 is never chunked. A 204, a 304 and the answer to HEAD have no body, whatever is written; a 304
  /// and the answer to HEAD may still have a content-length. `close` says that the connection ends with this
  /// answer.
  virtual void start_answer(const response_head& head, body_framing framing, std::uint64_t length,
                            bool close) = 0;
  /// Writes bytes of the body, framed.
  virtual void write(std::string_view bytes) = 0;
  /// Whether start_answer() has been called: then the status can no longer change.
  virtual bool answer_started() const = 0;
  /// Bytes written that the client's socket has not taken yet.
  virtual std::size_t backlog() const = 0;

 protected:
  ~reply_writer() = default;
};

}  // namespace llm_proxy
