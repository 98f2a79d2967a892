#include "http/request/request_gate.hpp"

#include "http/json/json_scanner.hpp"
#include "http/keys/model_rules.hpp"

#include <array>
#include <span>
#include <utility>

namespace llm_proxy {

namespace {

constexpr json_kinds object = json_kind(json_token::begin_object);
constexpr json_kinds array = json_kind(json_token::begin_array);
constexpr json_kinds string = json_kind(json_token::string);

/// The faults of a body. It allocates no memory while there are none.
class fault_list {
 public:
  /// `wanted`: what the field must be, in words for people.
  void add(field_fault field, std::string_view wanted) {
    if (fields_.empty()) {
      wanted_ = wanted;
    } else if (fields_.size() == request_fault::most_fields) {
      return;
    }
    fields_.push_back(std::move(field));
  }
  void add(const fault_list& more) {
    for (const auto& field : more.fields_) add(field, more.wanted_);
  }
  void clear() { fields_.clear(); }
  bool empty() const { return fields_.empty(); }

  /// Returns all faults, with the message of the first one.
  request_fault told() const {
    const auto& first = fields_.front();
    request_fault fault;
    fault.status = 422;
    fault.param = first.param;
    fault.fields = fields_;
    if (first.missing) {
      fault.message = "missing required parameter: '" + first.param + "'";
      fault.code = "missing_required_parameter";
    } else {
      const auto subject = first.param.empty() ? "the request body" : "'" + first.param + "'";
      fault.message = subject + " must be " + std::string{wanted_};
      fault.code = "invalid_type";
    }
    return fault;
  }

 private:
  std::vector<field_fault> fields_;
  std::string_view wanted_;  // of the first one
};

/// The kinds of an object's members as they were last seen, in the order of the rules.
class member_kinds {
 public:
  explicit member_kinds(std::span<const member_rule> rules) : rules_{rules} { reset(); }

  void reset() { last_.fill(absent_member); }

  /// Says that the value of `key` follows, to which place() and set() then refer. Of duplicates the last one
  /// counts.
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

  /// Adds the faults in the order of the rules. `prefix()` is put before the member's name in `param`.
  template <class Prefix>
  void find_faults(fault_list& found, Prefix prefix) const {
    for (std::size_t i = 0; i != rules_.size(); ++i) {
      if (is(i, rules_[i].allowed)) continue;
      const auto param = prefix() + std::string{rules_[i].name};
      found.add({param, rules_[i].allowed, is(i, absent_member)}, rules_[i].wanted);
    }
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
    fault_list faults;
    if (!is_object_) {
      faults.add({"", object, false}, "a JSON object");
      return faults.told();
    }
    top_.find_faults(faults, [] { return std::string{}; });
    faults.add(message_faults_);
    if (!faults.empty()) return faults.told();
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
      message_faults_.clear();
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
    if (token == json_token::begin_array) return;  // the array's end adds the fault
    in_message_ = false;
    if (token == json_token::end_object) {
      message_.find_faults(message_faults_, [&] { return prefix() + "."; });
    } else {
      message_faults_.add({prefix(), object, false}, "an object");
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
  member_kinds message_{message_rules()};  // of the message being read
  fault_list message_faults_;              // of the last "messages"
  std::size_t message_count_ = 0;
  std::size_t inside_object_ = 0;  // the offset after the body's first brace
  std::string_view brings_models_;
  byte_range model_at_;
  byte_range options_at_;   // the last stream_options; if it is an object, its first brace
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
  return {.status = 400, .message = std::move(message), .param = "", .code = "invalid_json", .fields = {}};
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
