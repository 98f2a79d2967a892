// Parses HTTP messages while their bytes come: first a head, then the body's bytes.
#pragma once

#include "http/wire/chunk_reader.hpp"
#include "http/wire/errc.hpp"
#include "http/wire/message.hpp"
#include "http/wire/partial_head.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace llm_proxy {

/// Reads one body, up to the end that its framing says (RFC 9112 §6.3).
class body_reader {
 public:
  /// Before the first of these calls a body of no bytes is expected.
  void expect_bytes(std::uint64_t length) { left_ = length; }
  void expect_chunks() { ends_ = by::chunks; }
  void expect_close() { ends_ = by::close; }

  /// Appends the payload in `bytes` to `sink` and returns how many of `bytes` were consumed.
  std::size_t read(std::string_view bytes, std::string& sink);
  /// Whether the body is complete only when the peer closes.
  bool ends_by_close() const { return ends_ == by::close; }
  bool done() const { return ends_ == by::length ? left_ == 0 : ends_ == by::chunks && chunks_.done(); }
  bool broken() const { return chunks_.broken(); }
  /// Returns how many payload bytes the peer has announced that have not come yet: of the body, or of the
  /// current chunk.
  std::uint64_t announced() const { return ends_ == by::chunks ? chunks_.left_of_chunk() : left_; }

 private:
  enum class by : std::uint8_t { length, chunks, close };

  by ends_ = by::length;
  std::uint64_t left_ = 0;
  chunk_reader chunks_;
};

/// Reads one request. Feed it the connection's buffer; drop what it consumed.
class request_parser {
 public:
  /// Reads the head once it is complete. Returns the bytes consumed, or 0 if more are needed or the head is
  /// refused. In the latter case `fault` says why.
  std::size_t read_head(std::string_view bytes, failure& fault);
  /// Returns the head. To be called once, after read_head() has consumed bytes.
  request_head take_head() { return std::move(head_); }

  /// Appends body bytes to `sink` and returns how many of `bytes` were consumed.
  std::size_t read_body(std::string_view bytes, std::string& sink, failure& fault);
  /// Returns how many bytes of the body are announced and have not come: of its length, or of the current
  /// chunk.
  std::uint64_t announced() const { return body_.announced(); }
  /// Whether the request has been read to its end.
  bool done() const { return head_done_ && body_.done(); }

 private:
  request_head head_;
  body_reader body_;
  std::unique_ptr<partial_head> partial_;  // null unless the head comes in pieces
  std::size_t checked_ = 0;                // bytes of an unfinished head in which its end was looked for
  bool head_done_ = false;
};

/// Reads one response, and skips 1xx answers before it (RFC 9110 §15.2).
class response_parser {
 public:
  /// `to_head` says that this is the answer to a HEAD request. It has no body, whatever its headers say.
  explicit response_parser(bool to_head = false) : to_head_{to_head} {}

  /// Consumes what it can of `bytes`: first a whole head, which is put into `head` once, then bytes of the
  /// body, which are appended to `sink`. Returns how many were consumed; the rest must be given again with
  /// more bytes after it. Sets `fault` to upstream_invalid_response if this is not HTTP.
  std::size_t read(std::string_view bytes, std::optional<response_head>& head, std::string& sink,
                   failure& fault);
  /// Says that the peer has closed. Sets `fault` if the message was not complete.
  void read_end(failure& fault);
  /// Returns the failure for an answer that breaks off at this point: upstream_disconnected, with a message
  /// that says how much of the answer has arrived. `detail` says how the connection ended, for the log.
  failure broken_off(std::string detail) const;

  bool head_done() const { return head_done_; }
  bool done() const { return head_done_ && (body_.done() || closed_); }
  /// True if another response may follow on the connection.
  bool keep_alive() const { return keep_alive_; }

 private:
  std::size_t read_head(std::string_view bytes, std::optional<response_head>& head, failure& fault);

  body_reader body_;
  std::size_t checked_ = 0;                 // bytes of an unfinished head that were looked at
  std::uint64_t body_bytes_ = 0;            // bytes of the body so far
  std::optional<std::uint64_t> announced_;  // size of the body by its content-length
  bool to_head_;
  bool any_byte_ = false;
  bool head_done_ = false;
  bool closed_ = false;  // the peer closed, and this ended the answer
  bool keep_alive_ = false;
};

}  // namespace llm_proxy
