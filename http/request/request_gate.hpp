// The request gate: one pass over the bytes of a JSON request, which are judged and never rewritten.
#pragma once

#include "http/json/json_text.hpp"  // splice, json_quoted
#include "http/request/body_rules.hpp"
#include "http/request/field_faults.hpp"

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
  std::string model;    // unescaped text of the last "model"
  byte_range model_at;  // that value, quotes included; empty if there is none, or it is not a string
  bool stream = false;
  bool include_usage = false;  // stream_options.include_usage is true
  /// The last member beside "model" that brings models (model_rules.hpp); empty if there is none.
  std::string_view brings_models;
  /// The edit that makes include_usage true: these bytes become that text.
  byte_range usage_at;
  std::string_view usage_text;
};

/// Why a body is refused; type is always `invalid_request_error`.
struct request_fault {
  int status = 400;  // 400: no JSON; 422: JSON of the wrong shape
  std::string message;
  std::string param;  // the field at fault, such as `messages[3].role`; empty: none (null on the wire)
  std::string code;
  /// Of a 422: every field at fault, the one of `message` and `param` first; at most `most_fields` of them.
  std::vector<field_fault> fields;
  static constexpr std::size_t most_fields = 100;
};

/// Makes include_usage true in the body; `request`'s places are moved to where they then are.
void add_usage(std::string& body, gated_request& request);

using checked_request = std::variant<gated_request, request_fault>;

/// Judges a body by an endpoint's rules. Malformed JSON comes before any wrong shape; of duplicate keys the
/// last counts.
checked_request check_request(const body_rules& rules, std::string_view body);

/// The same while the body comes, so that a large one occupies the thread for no longer than each piece does.
class request_check {
 public:
  explicit request_check(const body_rules& rules);
  ~request_check();

  /// Reads what is new. `so_far`: all that has come.
  void feed(std::string_view so_far);
  /// The body is whole. As check_request() would say.
  checked_request finish(std::string_view body);

 private:
  friend checked_request check_request(const body_rules& rules, std::string_view body);
  struct reading;
  std::unique_ptr<reading> reading_;
};

}  // namespace llm_proxy
