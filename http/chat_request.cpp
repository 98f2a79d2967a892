#include "http/chat_request.hpp"

#include "http/json_scanner.hpp"

#include <array>
#include <cstdint>
#include <optional>
#include <utility>

namespace llm_proxy {

namespace {

using kinds = std::uint32_t;  // a set of JSON kinds, each as the bit of the token that begins it

constexpr kinds kind(json_token token) {
  return kinds{1} << static_cast<unsigned>(token);
}

constexpr kinds object = kind(json_token::begin_object);
constexpr kinds array = kind(json_token::begin_array);
constexpr kinds string = kind(json_token::string);
constexpr kinds number = kind(json_token::number);
constexpr kinds boolean = kind(json_token::literal_true) | kind(json_token::literal_false);
constexpr kinds null = kind(json_token::literal_null);
constexpr kinds absent = kind(json_token::more);  // of a member that did not come
constexpr kinds anything = ~kinds{0};

struct member_rule {
  std::string_view name;
  kinds allowed;
  std::string_view wanted;
};

// The first ones by their place in the table, all in the order in which faults are reported.
enum member : std::size_t { model, messages, stream, stream_options };

constexpr std::array top_rules{
    member_rule{"model", string, "a string"},
    member_rule{"messages", array, "an array"},
    member_rule{"stream", boolean | null | absent, "a boolean or null"},
    member_rule{"stream_options", anything, ""},
    member_rule{"temperature", number | null | absent, "a number or null"},
    member_rule{"top_p", number | null | absent, "a number or null"},
    member_rule{"presence_penalty", number | null | absent, "a number or null"},
    member_rule{"frequency_penalty", number | null | absent, "a number or null"},
    member_rule{"n", number | null | absent, "a number or null"},
    member_rule{"max_tokens", number | null | absent, "a number or null"},
    member_rule{"tools", array | null | absent, "an array or null"},
    member_rule{"functions", array | null | absent, "an array or null"},
    member_rule{"tool_choice", string | object | null | absent, "a string, an object or null"},
    member_rule{"function_call", string | object | null | absent, "a string, an object or null"},
    member_rule{"stop", string | array | null | absent, "a string, an array or null"},
    member_rule{"logit_bias", object | null | absent, "an object or null"},
    member_rule{"user", string | null | absent, "a string or null"},
};

constexpr std::array message_rules{
    member_rule{"role", string, "a string"},
    member_rule{"content", string | array | null | absent, "a string, an array or null"},
};

/// Kinds of an object's members as they were last seen, by their rules.
template <std::size_t N>
class member_kinds {
 public:
  explicit member_kinds(const std::array<member_rule, N>& rules) : rules_(rules) { reset(); }

  void reset() { last_.fill(absent); }

  /// A key comes: its value is the one that place() and set() speak of. Of duplicates the last counts.
  void begin(std::string_view key) {
    place_ = 0;
    while (place_ != N && rules_[place_].name != key) ++place_;
  }
  std::size_t place() const { return place_; }
  void set(json_token value) {
    if (place_ != N) last_[place_] = kind(value);
  }
  bool is(std::size_t place, kinds wanted) const { return (last_[place] & wanted) != 0; }

  /// The first fault in the rules' order; `prefix` comes before the member's name in `param`.
  std::optional<request_fault> find_fault(const std::string& prefix) const {
    for (std::size_t i = 0; i != N; ++i) {
      if (is(i, rules_[i].allowed)) continue;
      auto param = prefix + std::string{rules_[i].name};
      if (is(i, absent)) {
        auto message = "missing required parameter: '" + param + "'";
        return request_fault{422, std::move(message), std::move(param), "missing_required_parameter"};
      }
      auto message = "'" + param + "' must be " + std::string{rules_[i].wanted};
      return request_fault{422, std::move(message), std::move(param), "invalid_type"};
    }
    return std::nullopt;
  }

 private:
  const std::array<member_rule, N>& rules_;
  std::array<kinds, N> last_;
  std::size_t place_ = N;
};

bool is_end(json_token token) {
  return token == json_token::end_object || token == json_token::end_array;
}

class request_reader {
 public:
  /// `depth` containers are around `token`.
  void take(json_token token, json_scanner& scanner) {
    switch (scanner.depth()) {
      case 0:
        is_object_ = token == json_token::begin_object || token == json_token::end_object;
        break;
      case 1:
        take_top_member(token, scanner);
        break;
      case 2:
        if (top_.place() == messages && top_.is(messages, array)) take_message(token);
        if (top_.place() == stream_options && top_.is(stream_options, object))
          take_stream_option(token, scanner);
        break;
      case 3:
        if (in_message_) take_message_member(token, scanner);
        break;
      default:
        break;
    }
  }

  checked_chat_request finish(std::string_view body) const {
    if (!is_object_) return request_fault{422, "the request body must be a JSON object", "", "invalid_type"};
    if (auto fault = top_.find_fault("")) return *std::move(fault);
    if (message_fault_) return *message_fault_;
    chat_request request;
    request.model_begin = model_begin_;
    request.model_end = model_end_;
    request.model = json_unescaped(body.substr(model_begin_, model_end_ - model_begin_));
    request.stream = top_.is(stream, kind(json_token::literal_true));
    request.include_usage = include_usage_;
    return request;
  }

 private:
  void take_top_member(json_token token, json_scanner& scanner) {
    if (!is_object_ || is_end(token)) return;
    if (token != json_token::key) {
      top_.set(token);
      if (top_.place() == model) {
        model_begin_ = scanner.token_begin();
        model_end_ = scanner.offset();
      }
      return;
    }
    top_.begin(scanner.text());
    in_message_ = false;
    if (top_.place() == messages) {
      message_count_ = 0;
      message_fault_.reset();
    }
    if (top_.place() == stream_options) include_usage_ = false;
    if (top_.place() == top_rules.size()) scanner.skip_value();
  }

  void take_stream_option(json_token token, json_scanner& scanner) {
    if (token == json_token::key) {
      is_include_usage_ = scanner.text() == "include_usage";
    } else if (is_include_usage_) {
      include_usage_ = token == json_token::literal_true;
    }
  }

  void take_message(json_token token) {
    const auto prefix = [this] { return "messages[" + std::to_string(message_count_) + "]"; };
    if (token == json_token::begin_object) {
      in_message_ = true;
      message_.reset();
      return;
    }
    if (token == json_token::begin_array) return;  // its end tells
    in_message_ = false;
    if (!message_fault_ && token == json_token::end_object) {
      message_fault_ = message_.find_fault(prefix() + ".");
    } else if (!message_fault_) {
      message_fault_ = request_fault{422, "'" + prefix() + "' must be an object", prefix(), "invalid_type"};
    }
    ++message_count_;
  }

  void take_message_member(json_token token, json_scanner& scanner) {
    if (token == json_token::key) {
      message_.begin(scanner.text());
      if (message_.place() == message_rules.size()) scanner.skip_value();
    } else if (!is_end(token)) {
      message_.set(token);
    }
  }

  member_kinds<top_rules.size()> top_{top_rules};
  member_kinds<message_rules.size()> message_{message_rules};  // of the message being read
  std::optional<request_fault> message_fault_;                 // the first one of the last "messages"
  std::size_t message_count_ = 0;
  std::size_t model_begin_ = 0;
  std::size_t model_end_ = 0;
  bool is_object_ = false;
  bool in_message_ = false;
  bool is_include_usage_ = false;
  bool include_usage_ = false;
};

request_fault malformed(const json_scanner& scanner, bool empty) {
  const std::string where = " at byte " + std::to_string(scanner.offset());
  std::string message =
      empty ? "the request body is empty: JSON expected" + where
            : "the request body is not valid JSON: " + std::string{describe(scanner.fault())} + where;
  return {400, std::move(message), "", "invalid_json"};
}

}  // namespace

checked_chat_request check_chat_request(std::string_view body) {
  json_scanner scanner{3};
  request_reader reader;
  std::string_view rest = body;
  for (auto token = scanner.next(rest); token > json_token::error; token = scanner.next(rest)) {
    reader.take(token, scanner);
  }
  if (!scanner.finish()) return malformed(scanner, body.empty());
  return reader.finish(body);
}

}  // namespace llm_proxy
