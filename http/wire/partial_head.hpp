// Checks a request head while it is still coming, so that an invalid one is refused at once and not at a
// deadline: one with a request line of HTTP/0.9, a TLS handshake, or two lengths. A head that the parser of
// whole heads (head_parser.hpp) accepts is never refused here; both check a line with the functions of
// head_lines.hpp.
#pragma once

#include "http/wire/errc.hpp"
#include "http/wire/head_lines.hpp"
#include "http/wire/message.hpp"

#include <cstddef>
#include <string_view>

namespace llm_proxy {

/// One head. Each byte is looked at once, however small the pieces are in which it comes.
class partial_head {
 public:
  partial_head() = default;
  partial_head(const partial_head&) = delete;
  partial_head& operator=(const partial_head&) = delete;

  /// `head` is all of it that has come so far, without its end. Returns errc::none, or why it is refused
  /// whatever follows.
  failure check(std::string_view head);

 private:
  failure check_line(std::string_view line);
  failure check_rest(std::string_view rest, std::size_t known) const;

  std::size_t line_begin_ = 0;  // where the unfinished line begins
  std::size_t checked_ = 0;     // bytes of the head that were looked at
  request_head line_;           // the request line's values; its framing is that of the fields so far
  framing_fields fields_{true, line_};
};

}  // namespace llm_proxy
