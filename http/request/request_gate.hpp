// The request gate checks a JSON request in one pass over its bytes. It does not rewrite them; add_usage() is
// a separate step.
#pragma once

#include "http/json/json_text.hpp"  // splice, json_quoted
#include "http/request/body_rules.hpp"
#include "http/request/fastapi_detail.hpp"

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace llm_proxy {

/// Bytes [begin, end) of a body.
struct byte_range {
  std::size_t begin = 0;
  std::size_t end = 0;
  bool empty() const { return begin == end; }
};

/// What the proxy needs to know of a request.
struct gated_request {
  std::string model;    // the unescaped text of the last "model"
  byte_range model_at;  // the place of that value with its quotes; empty if it is absent or not a string
  bool stream = false;
  bool include_usage = false;  // stream_options.include_usage is true
  /// The last member other than "model" that can name a model (model_rules.hpp); empty if there is none.
  std::string_view brings_models;
  /// The edit that makes include_usage true: the bytes at `usage_at` are replaced by `usage_text`.
  byte_range usage_at;
  std::string_view usage_text;
};

/// Why a body is refused. The error's type is always `invalid_request_error`.
struct request_fault {
  int status = 400;  // 400: not JSON; 422: JSON of the wrong shape
  std::string message;
  std::string param;  // the faulty field, such as `messages[3].role`; empty if none (null on the wire)
  std::string code;
  /// For a 422: all faulty fields, at most `most_fields`. The first one is that of `message` and `param`.
  std::vector<field_fault> fields;
  static constexpr std::size_t most_fields = 100;
};

/// Makes include_usage true in the body, and updates the byte ranges in `request` accordingly.
void add_usage(std::string& body, gated_request& request);

using checked_request = std::variant<gated_request, request_fault>;

/// Checks a body against an endpoint's rules. Malformed JSON is reported before any wrong shape. Of duplicate
/// keys the last one counts.
checked_request check_request(const body_rules& rules, std::string_view body);

/// The same while the body arrives. A large body then never occupies the thread for longer than one piece
/// takes.
class request_check {
 public:
  explicit request_check(const body_rules& rules);
  ~request_check();

  /// Reads the new bytes. `so_far`: all bytes of the body that have arrived.
  void feed(std::string_view so_far);
  /// Says that the body is complete. Returns what check_request() would return.
  checked_request finish(std::string_view body);

 private:
  friend checked_request check_request(const body_rules& rules, std::string_view body);
  struct reading;
  std::unique_ptr<reading> reading_;
};

}  // namespace llm_proxy
