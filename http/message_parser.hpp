// Beast's incremental parser, turned into values: a head, then the body's bytes as they come. Chunked bodies
// have a reader of their own.
#pragma once

#include "http/chunk_reader.hpp"
#include "http/errc.hpp"
#include "http/message.hpp"

#include <boost/beast/http/basic_parser.hpp>

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

namespace llm_proxy {

namespace detail {

/// What both directions share: heads, and bodies that are not chunked (chunk_reader.hpp has those).
template <bool is_request>
class beast_parser : public boost::beast::http::basic_parser<is_request> {
 public:
  using base = boost::beast::http::basic_parser<is_request>;
  using verb = boost::beast::http::verb;
  using field = boost::beast::http::field;
  using error_code = boost::beast::error_code;
  using beast_view = boost::beast::string_view;

  beast_parser();

  int version = 11;  ///< 10 or 11
  unsigned status = 0;
  std::string method;
  std::string target;
  header_list headers;
  std::string* body_sink = nullptr;  ///< where body bytes are appended

 private:
  void on_request_impl(verb, beast_view method_text, beast_view target_text, int, error_code&) override;
  void on_response_impl(int code, beast_view, int, error_code&) override;
  void on_field_impl(field, beast_view name, beast_view value, error_code&) override;
  void on_header_impl(error_code&) override;
  void on_body_init_impl(boost::optional<std::uint64_t> const&, error_code&) override;
  std::size_t on_body_impl(beast_view bytes, error_code&) override;
  void on_chunk_header_impl(std::uint64_t, beast_view extensions, error_code&) override;
  std::size_t on_chunk_body_impl(std::uint64_t, beast_view bytes, error_code&) override;
  void on_finish_impl(error_code&) override;

  bool head_done_ = false;
};

}  // namespace detail

/// Reads one request. Feed it the connection's buffer; drop what it consumed.
class request_parser {
 public:
  request_parser();

  /// Reads the head once it is whole. Returns the bytes consumed, 0 while more is needed; `fault` says why
  /// not.
  std::size_t read_head(std::string_view bytes, failure& fault);
  /// Valid once after read_head() consumed something.
  request_head take_head();

  /// Appends body bytes to `sink` and returns how many of `bytes` were consumed.
  std::size_t read_body(std::string_view bytes, std::string& sink, failure& fault);
  /// The request has been read to its end.
  bool done() const { return parser_.is_done() || chunks_.done(); }

 private:
  detail::beast_parser<true> parser_;
  chunk_reader chunks_;
  std::size_t checked_ = 0;  // bytes of an unfinished head that were looked at
};

/// Reads one response, 1xx answers skipped (RFC 9110 §15.2).
class response_parser {
 public:
  /// `to_head`: the answer to a HEAD request has no body whatever its headers say.
  explicit response_parser(bool to_head = false);

  /// Consumes what it can of `bytes`: head first, then body bytes appended to `sink`. Returns how many were
  /// consumed; `fault` is upstream_invalid_response when this is no HTTP.
  std::size_t read(std::string_view bytes, std::string& sink, failure& fault);
  /// The peer closed. Sets `fault` when the message was not complete.
  void read_end(failure& fault);

  bool head_done() const { return head_done_; }
  response_head take_head();
  bool done() const { return head_done_ && (chunked_ ? chunks_.done() : parser_->is_done()); }
  /// True if another response may follow on the connection.
  bool keep_alive() const { return keep_alive_; }

 private:
  void restart();

  std::unique_ptr<detail::beast_parser<false>> parser_;  // null once it has read the head of a chunked answer
  chunk_reader chunks_;
  bool to_head_;
  bool head_done_ = false;
  bool chunked_ = false;
  bool keep_alive_ = false;
  std::size_t head_bytes_ = 0;
};

}  // namespace llm_proxy
