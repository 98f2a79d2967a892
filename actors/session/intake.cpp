#include "actors/session/intake.hpp"

#include "config/log_safe.hpp"
#include "http/keys/model_rules.hpp"
#include "http/request/host_check.hpp"
#include "http/text/text.hpp"
#include "http/wire/field_lists.hpp"

#include <utility>

namespace llm_proxy {

namespace {

constexpr std::string_view allowed_time = "x-request-timeout-ms";
constexpr std::int64_t longest_allowed = 30LL * 24 * 3600 * 1000;

/// Returns the number of milliseconds in the header, or nullopt if it is not a whole number in the valid
/// range.
std::optional<std::int64_t> read_milliseconds(std::string_view text) {
  const auto number = parse_number<std::int64_t>(trimmed(text));
  return number && *number >= 1 && *number <= longest_allowed ? number : std::nullopt;
}

}  // namespace

std::optional<failure> check_host(const request_head& head, const std::optional<std::string>& local_host) {
  if (!local_host || is_public_path(head.path(), health_paths)) return std::nullopt;
  auto foreign = foreign_origin_of(head, *local_host);
  if (foreign.empty()) return std::nullopt;
  return failure{.code = errc::host_not_allowed, .detail = std::move(foreign)};
}

std::optional<failure> check_group(const key_rules& key, bool is_operator, route_group group) {
  if (is_operator || key.routes.contains(group)) return std::nullopt;
  const auto name = std::string{name_of(group)};
  return failure{.code = errc::route_not_allowed,
                 .message = "This key may not use the routes of the group '" + name +
                            "': the field routes of its entry in the keys file does not name it.",
                 .detail = "routes of the key " + key.name + ": " + names_of(key.routes)};
}

std::optional<failure> check_head(const request_head& head, body_kind body, std::size_t most) {
  const auto& headers = head.headers;
  if (headers.find("expect") && !head.expects_continue && head.minor_version == 1)
    return failure{.code = errc::expectation_failed};
  if (body == body_kind::none) return std::nullopt;
  if (is_encoded(headers)) return failure{.code = errc::unsupported_encoding};
  const auto type = headers.find("content-type");
  const bool wants_json = body == body_kind::json || body == body_kind::optional_json;
  if (wants_json && type && !is_json_media(media_type(*type)))
    return failure{.code = errc::unsupported_media_type};
  if (body == body_kind::multipart) {
    if (!type || !iequals(media_type(*type), "multipart/form-data"))
      return failure{.code = errc::unsupported_media_type,
                     .message = "The body must be sent as content-type multipart/form-data."};
    if (!has_boundary(*type))
      return failure{.code = errc::bad_request,
                     .message = "The content-type multipart/form-data names no boundary.",
                     .param = "content-type"};
  }
  if (head.content_length.value_or(0) > most)
    return failure{.code = errc::body_too_large,
                   .message = "The body is larger than " + std::to_string(most) + " bytes."};
  return std::nullopt;
}

std::variant<std::optional<time_limit>, failure> read_time_limit(const request_head& head,
                                                                 std::chrono::milliseconds ours) {
  const auto text = head.headers.find(allowed_time);
  if (!text) return std::nullopt;
  const auto allowed = read_milliseconds(*text);
  if (!allowed || head.headers.count(allowed_time) > 1)
    return failure{
        .code = errc::bad_request,
        .message = "The header x-request-timeout-ms takes one whole number of milliseconds, from 1 to " +
                   std::to_string(longest_allowed) + ".",
        .param = std::string{allowed_time}};
  const std::chrono::milliseconds asked{*allowed};
  const bool is_shortened = ours.count() <= 0 || asked < ours;
  return time_limit{is_shortened ? asked : ours, is_shortened};
}

std::optional<failure> check_form(const key_rules& key, const route& row, const request_head& head) {
  if (key.models.empty()) return std::nullopt;
  if (only_reads_or_deletes(row, head.method)) return check_model_beside(key, head.target, {});
  if (row.body != body_kind::multipart && row.body != body_kind::any) return std::nullopt;
  return failure{
      .code = errc::model_not_allowed,
      .message = "This key may use certain models only, and the model of this request cannot be seen.",
      .param = "model"};
}

std::optional<failure> check_model_beside(const key_rules& key, std::string_view target,
                                          std::string_view member) {
  if (key.models.empty()) return std::nullopt;
  auto found = model_in_query(target);
  if (found.empty()) found = member;
  if (found.empty()) return std::nullopt;
  return failure{
      .code = errc::model_not_allowed,
      .message = "This key may use certain models only, and '" + std::string{found} + "' can name others.",
      .param = std::string{found}};
}

std::optional<failure> check_model(const key_rules& key, std::string_view asked, std::string_view resolved) {
  if (key.models.empty() || allows_model(key.models, asked) || allows_model(key.models, resolved))
    return std::nullopt;
  return failure{.code = errc::model_not_allowed,
                 .message = "This key may not use the model '" + log_safe(asked) + "'.",
                 .param = "model"};
}

std::variant<body_plan, refused_body> plan_body(const route& row, const key_rules& key,
                                                std::string_view target, std::unique_ptr<request_check> check,
                                                bool wants_usage, std::string& body) {
  if (row.body == body_kind::optional_json && body.empty()) return body_plan{};
  auto checked = check ? check->finish(body) : check_request(*row.rules, body);
  check.reset();
  if (auto* fault = std::get_if<request_fault>(&checked)) {
    const auto code = fault->status == 400 ? errc::invalid_json : errc::invalid_shape;
    auto detail = code == errc::invalid_shape ? validation_detail(fault->fields) : std::string{};
    return refused_body{
        {.code = code, .message = std::move(fault->message), .param = std::move(fault->param)},
        std::move(detail)};
  }
  auto& request = std::get<gated_request>(checked);
  if (auto reason = check_model_beside(key, target, request.brings_models))
    return refused_body{.reason = std::move(*reason), .stream = request.stream};
  body_plan plan{.stream = request.stream};
  if (wants_usage && request.stream && row.rules == &chat_rules && !request.usage_text.empty()) {
    add_usage(body, request);
    plan.adds_usage = true;
  }
  plan.model = std::move(request.model);
  plan.model_at = request.model_at;
  if (plan.model_at.empty() && row.body == body_kind::json) {
    if (auto reason = check_model(key, {}, {}))
      return refused_body{.reason = std::move(*reason), .stream = plan.stream};
  }
  return plan;
}

}  // namespace llm_proxy
