#include "http/request_gate.hpp"

#include "http/json_scanner.hpp"
#include "http/model_rules.hpp"

#include <array>
#include <optional>
#include <span>
#include <utility>

namespace llm_proxy {

namespace {

constexpr json_kinds object = json_kind(json_token::begin_object);
constexpr json_kinds array = json_kind(json_token::begin_array);
constexpr json_kinds string = json_kind(json_token::string);

/// Kinds of an object's members as they were last seen, by their rules.
class member_kinds {
 public:
  explicit member_kinds(std::span<const member_rule> rules) : rules_{rules} { reset(); }

  void reset() { last_.fill(absent_member); }

  /// A key comes: its value is the one that place() and set() speak of. Of duplicates the last counts.
  void begin(std::string_view key) {
    place_ = 0;
    while (place_ != rules_.size() && rules_[place_].name != key) ++place_;
  }
  std::size_t place() const { return place_; }
  bool is_known() const { return place_ != rules_.size(); }
  void set(json_token value) {
    if (is_known()) last_[place_] = json_kind(value);
  }
  bool is(std::size_t place, json_kinds wanted) const { return (last_[place] & wanted) != 0; }

  /// The first fault in the rules' order; `prefix()` comes before the member's name in `param`.
  template <class Prefix>
  std::optional<request_fault> find_fault(Prefix prefix) const {
    for (std::size_t i = 0; i != rules_.size(); ++i) {
      if (is(i, rules_[i].allowed)) continue;
      auto param = prefix() + std::string{rules_[i].name};
      if (is(i, absent_member)) {
        auto message = "missing required parameter: '" + param + "'";
        return request_fault{422, std::move(message), std::move(param), "missing_required_parameter"};
      }
      auto message = "'" + param + "' must be " + std::string{rules_[i].wanted};
      return request_fault{422, std::move(message), std::move(param), "invalid_type"};
    }
    return std::nullopt;
  }

 private:
  std::span<const member_rule> rules_;
  std::array<json_kinds, body_rules::largest> last_;  // NOLINT: reset() fills it
  std::size_t place_ = 0;
};

bool is_end(json_token token) {
  return token == json_token::end_object || token == json_token::end_array;
}

class request_reader {
 public:
  explicit request_reader(const body_rules& rules) : rules_{rules}, top_{rules.members} {}

  void take(json_token token, json_scanner& scanner) {
    switch (scanner.depth()) {
      case 0:
        is_object_ = token == json_token::begin_object || token == json_token::end_object;
        if (token == json_token::begin_object) inside_object_ = scanner.offset();
        break;
      case 1:
        take_top_member(token, scanner);
        break;
      case 2:
        if (rules_.checks_messages && top_.place() == body_rules::messages &&
            top_.is(body_rules::messages, array))
          take_message(token);
        if (top_.place() == body_rules::stream_options && top_.is(body_rules::stream_options, object))
          take_stream_option(token, scanner);
        break;
      case 3:
        if (in_message_) take_message_member(token, scanner);
        break;
      default:
        break;
    }
  }

  checked_request finish(std::string_view body) const {
    if (!is_object_) return request_fault{422, "the request body must be a JSON object", "", "invalid_type"};
    if (auto fault = top_.find_fault([] { return std::string{}; })) return *std::move(fault);
    if (message_fault_) return *message_fault_;
    gated_request request;
    if (top_.is(body_rules::model, string)) {
      request.model_at = model_at_;
      request.model = json_unescaped(body.substr(model_at_.begin, model_at_.end - model_at_.begin));
    }
    request.stream = top_.is(body_rules::stream, json_kind(json_token::literal_true));
    request.include_usage = include_usage_;
    request.brings_models = brings_models_;
    plan_usage_edit(request);
    return request;
  }

 private:
  void take_top_member(json_token token, json_scanner& scanner) {
    if (!is_object_ || is_end(token)) return;
    if (token != json_token::key) {
      top_.set(token);
      if (top_.place() == body_rules::model) model_at_ = {scanner.token_begin(), scanner.offset()};
      if (top_.place() == body_rules::stream_options) options_at_ = {scanner.token_begin(), scanner.offset()};
      return;
    }
    top_.begin(scanner.text());
    in_message_ = false;
    if (top_.place() == body_rules::messages) {
      message_count_ = 0;
      message_fault_.reset();
    }
    if (top_.place() == body_rules::stream_options) {
      include_usage_ = false;
      has_options_ = false;
      usage_value_ = {};
    }
    if (top_.is_known()) return;
    if (const auto name = member_bringing_models(scanner.text()); !name.empty()) brings_models_ = name;
    scanner.skip_value();
  }

  void take_stream_option(json_token token, json_scanner& scanner) {
    if (token == json_token::key) {
      has_options_ = true;
      is_include_usage_ = scanner.text() == "include_usage";
    } else if (is_include_usage_) {
      include_usage_ = token == json_token::literal_true;
      usage_value_ = {scanner.token_begin(), scanner.offset()};
      usage_is_scalar_ =
          token != json_token::begin_object && token != json_token::begin_array && !is_end(token);
    }
  }

  void plan_usage_edit(gated_request& request) const {
    if (include_usage_) return;
    if (top_.is(body_rules::stream_options, absent_member)) {
      request.usage_at = {inside_object_, inside_object_};
      request.usage_text = R"("stream_options":{"include_usage":true},)";
    } else if (top_.is(body_rules::stream_options, json_kind(json_token::literal_null))) {
      request.usage_at = options_at_;
      request.usage_text = R"({"include_usage":true})";
    } else if (top_.is(body_rules::stream_options, object) && usage_value_.empty()) {
      request.usage_at = {options_at_.end, options_at_.end};
      request.usage_text = has_options_ ? R"("include_usage":true,)" : R"("include_usage":true)";
    } else if (top_.is(body_rules::stream_options, object) && usage_is_scalar_) {
      request.usage_at = usage_value_;
      request.usage_text = "true";
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
      message_fault_ = message_.find_fault([&] { return prefix() + "."; });
    } else if (!message_fault_) {
      message_fault_ = request_fault{422, "'" + prefix() + "' must be an object", prefix(), "invalid_type"};
    }
    ++message_count_;
  }

  void take_message_member(json_token token, json_scanner& scanner) {
    if (token == json_token::key) {
      message_.begin(scanner.text());
      if (!message_.is_known()) scanner.skip_value();
    } else if (!is_end(token)) {
      message_.set(token);
    }
  }

  const body_rules& rules_;
  member_kinds top_;
  member_kinds message_{message_rules()};       // of the message being read
  std::optional<request_fault> message_fault_;  // the first one of the last "messages"
  std::size_t message_count_ = 0;
  std::size_t inside_object_ = 0;  // behind the body's first brace
  std::string_view brings_models_;
  byte_range model_at_;
  byte_range options_at_;   // the last stream_options; of an object its brace
  byte_range usage_value_;  // its last include_usage
  bool is_object_ = false;
  bool in_message_ = false;
  bool has_options_ = false;  // stream_options has members
  bool is_include_usage_ = false;
  bool usage_is_scalar_ = false;
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

struct request_check::reading {
  explicit reading(const body_rules& rules) : reader{rules} {}

  void feed(std::string_view rest) {
    scanner.feed(rest, [this](json_token token) { reader.take(token, scanner); });
  }
  checked_request finish(std::string_view body) {
    if (!scanner.finish()) return malformed(scanner, body.empty());
    return reader.finish(body);
  }

  json_scanner scanner{3};
  request_reader reader;
};

checked_request check_request(const body_rules& rules, std::string_view body) {
  request_check::reading all{rules};
  all.feed(body);
  return all.finish(body);
}

request_check::request_check(const body_rules& rules) : reading_{std::make_unique<reading>(rules)} {}

request_check::~request_check() = default;

void request_check::feed(std::string_view so_far) {
  reading_->feed(so_far.substr(reading_->scanner.offset()));
}

checked_request request_check::finish(std::string_view body) {
  feed(body);
  return reading_->finish(body);
}

void add_usage(std::string& body, gated_request& request) {
  const auto [begin, end] = request.usage_at;
  splice(body, begin, end, request.usage_text);
  if (begin <= request.model_at.begin) {
    const auto moved_to = [removed = end - begin, added = request.usage_text.size()](std::size_t place) {
      return place - removed + added;
    };
    request.model_at = {moved_to(request.model_at.begin), moved_to(request.model_at.end)};
  }
  request.usage_text = {};
  request.include_usage = true;
}

}  // namespace llm_proxy
