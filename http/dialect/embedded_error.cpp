#include "http/dialect/embedded_error.hpp"

#include "http/dialect/completion_reader.hpp"
#include "http/json/json_text.hpp"
#include "http/json/json_walk.hpp"
#include "http/text/text.hpp"

#include <cstddef>
#include <utility>

namespace llm_proxy {

namespace {

/// Returns the HTTP error status that `code` spells, or 0.
int error_status(std::string_view code) {
  const auto status = parse_number<int>(code).value_or(0);
  return status >= 400 && status <= 599 ? status : 0;
}

/// Returns a string's text; empty for "None" and for values that are not strings.
std::string text_or_none(json_token kind, std::string_view raw) {
  if (kind != json_token::string) return {};
  auto text = json_unescaped(raw);
  return text == "None" ? std::string{} : text;
}

/// Returns the last member of an object with that name; its text is empty if there is none.
std::pair<json_token, std::string_view> member_of(std::string_view object, std::string_view name) {
  std::pair<json_token, std::string_view> found{json_token::error, {}};
  for_each_member(object, [&](std::string_view key, json_token kind, std::string_view raw) {
    if (key == name) found = {kind, raw};
  });
  return found;
}

/// Returns the innermost error object, because an error object may hold nothing but another one.
std::string_view innermost_error(std::string_view object) {
  constexpr int deepest = 4;
  for (int depth = 0; depth < deepest; ++depth) {
    const auto [kind, inner] = member_of(object, "error");
    if (kind != json_token::begin_object || member_of(object, "message").first == json_token::string) break;
    object = inner;
  }
  return object;
}

void read_error_object(std::string_view object, embedded_error& error) {
  int status = 0;  // from `status` or `status_code`
  for_each_member(object, [&](std::string_view key, json_token kind, std::string_view raw) {
    const auto text = kind == json_token::number ? std::string{raw} : text_or_none(kind, raw);
    if (key == "type" && kind == json_token::string) error.type = text;
    if (key == "message" && kind == json_token::string) error.message = text;
    if (key == "code") error.code = text;
    if (key == "status" || key == "status_code") {
      if (const int number = error_status(text)) status = number;
      if (key == "status" && kind == json_token::string && error_status(text) == 0) error.status_name = text;
    }
  });
  error.status = error_status(error.code);
  if (error.status == 0) error.status = status;
}

}  // namespace

std::string_view sole_object(std::string_view json) {
  std::string_view found;
  std::size_t elements = 0;
  const bool is_array = for_each_element(json, [&](json_token kind, std::string_view raw) {
    if (elements++ == 0 && kind == json_token::begin_object) found = raw;
  });
  return is_array && !found.empty() ? found : json;
}

std::string as_error(std::string event_data) {
  if (find_error(sole_object(event_data)).present) return event_data;
  bool is_bare = false;
  const bool is_object =
      for_each_member(event_data, [&](std::string_view key, json_token kind, std::string_view) {
        is_bare = is_bare || ((key == "message" || key == "code") && kind == json_token::string);
      });
  if (is_object) return is_bare ? R"({"error":)" + event_data + "}" : event_data;
  const bool is_text = !is_valid_json(event_data);
  if (is_text) return R"({"error":)" + json_quoted(event_data) + "}";
  return event_data.find('"') == event_data.find_first_not_of(" \t\r\n") ? R"({"error":)" + event_data + "}"
                                                                         : event_data;
}

embedded_error find_error(std::string_view json) {
  // Usually there is no error. One pass that allocates nothing is enough to see that.
  completion_reader reader;
  reader.feed(json);
  embedded_error error;
  if (!reader.finish()) return error;
  if (reader.error) {
    error.present = true;
    const auto [kind, raw] = member_of(json, "error");
    if (kind == json_token::string) error.message = json_unescaped(raw);
    if (kind == json_token::begin_object) read_error_object(innermost_error(raw), error);
  } else if (reader.type() == "response.failed") {
    const auto [kind, raw] = member_of(member_of(json, "response").second, "error");
    error.present = kind == json_token::begin_object;
    if (error.present) read_error_object(raw, error);
  } else if (reader.type() == "error" || reader.is_error) {
    error.present = true;
    read_error_object(json, error);
    if (reader.type() == "error") error.type.clear();  // it is the type of the event, not of the error
  }
  return error;
}

}  // namespace llm_proxy
