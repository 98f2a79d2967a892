// HTTP messages as they come, turned into values: a head, then the body's bytes.
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

/// Reads one body, to the end that its framing gives it (RFC 9112 §6.3).
class body_reader {
 public:
  /// Begins as a body of no bytes.
  void expect_bytes(std::uint64_t length) { left_ = length; }
  void expect_chunks() { ends_ = by::chunks; }
  void expect_close() { ends_ = by::close; }

  /// Appends the payload in `bytes` to `sink` and returns how many of `bytes` were consumed.
  std::size_t read(std::string_view bytes, std::string& sink);
  /// It is whole when the peer closes, and not before.
  bool ends_by_close() const { return ends_ == by::close; }
  bool done() const { return ends_ == by::length ? left_ == 0 : ends_ == by::chunks && chunks_.done(); }
  bool broken() const { return chunks_.broken(); }
  /// Payload bytes that are sure to follow, if the peer keeps its word: of the body, or of the chunk at hand.
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
  /// Reads the head once it is whole. Returns the bytes consumed, 0 while more is needed; `fault` says why
  /// not.
  std::size_t read_head(std::string_view bytes, failure& fault);
  /// Valid once after read_head() consumed something.
  request_head take_head() { return std::move(head_); }

  /// Appends body bytes to `sink` and returns how many of `bytes` were consumed.
  std::size_t read_body(std::string_view bytes, std::string& sink, failure& fault);
  /// Bytes of the body that are announced and have not come: those of its length, or of the chunk at hand.
  std::uint64_t announced() const { return body_.announced(); }
  /// The request has been read to its end.
  bool done() const { return head_done_ && body_.done(); }

 private:
  request_head head_;
  body_reader body_;
  std::unique_ptr<partial_head> partial_;  // null while the head has come in no pieces
  std::size_t checked_ = 0;                // bytes of an unfinished head in which its end was looked for
  bool head_done_ = false;
};

/// Reads one response, 1xx answers skipped (RFC 9110 §15.2).
class response_parser {
 public:
  /// `to_head`: the answer to a HEAD request has no body whatever its headers say.
  explicit response_parser(bool to_head = false) : to_head_{to_head} {}

  /// Consumes what it can of `bytes`: a whole head first, set in `head` once, then body bytes appended to
  /// `sink`. Returns how many were consumed, the rest is to be given again with more behind it; `fault` is
  /// upstream_invalid_response when this is no HTTP.
  std::size_t read(std::string_view bytes, std::optional<response_head>& head, std::string& sink,
                   failure& fault);
  /// The peer closed. Sets `fault` when the message was not complete.
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
  std::uint64_t body_bytes_ = 0;            // of the body so far
  std::optional<std::uint64_t> announced_;  // of the body, by content-length
  bool to_head_;
  bool any_byte_ = false;
  bool head_done_ = false;
  bool closed_ = false;  // which was its end
  bool keep_alive_ = false;
};

}  // namespace llm_proxy
