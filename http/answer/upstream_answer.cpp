#include "http/answer/upstream_answer.hpp"

#include "http/answer/error_shape.hpp"
#include "http/answer/error_words.hpp"
#include "http/dialect/completion_reader.hpp"
#include "http/dialect/embedded_error.hpp"
#include "http/json/json_scanner.hpp"
#include "http/wire/field_lists.hpp"

namespace llm_proxy {

namespace {

constexpr std::string_view bodiless = "The model gateway answered without a body.";

held_verdict unusable(const answer_terms& terms, const std::string& detail, std::string_view message) {
  constexpr auto code = errc::upstream_invalid_response;
  return {describe(code).status,
          code,
          error_body(terms.speaks, failure{.code = code, .message = std::string{message}}),
          advice_for(code),
          detail,
          {}};
}

/// These statuses have no content by definition (RFC 9110 §15.3.5 and §15.3.6).
bool has_no_content(unsigned status) {
  return status == 204 || status == 205;
}

held_verdict judge_error(const response_head& head, std::string_view body, const answer_terms& terms) {
  auto error = decode_error(head, body, !is_encoded(head.headers), terms.wording, terms.speaks);
  held_verdict out{error.status, error.code, std::nullopt, error.advice, std::move(error.detail), {}};
  if (!error.body.empty()) out.body = std::move(error.body);
  // There is nothing that could be passed on.
  if (body.empty() && !out.body) {
    out.body = error_body(terms.speaks,
                          {out.status, bodiless, describe(out.code).type, {}, describe(out.code).name});
  }
  return out;
}

held_verdict judge_success(const response_head& head, std::string_view body, const answer_terms& terms) {
  if (terms.may_be_empty && has_no_content(head.status) && body.empty())
    return {head.status, errc::none, std::nullopt, {}, {}, {}};
  if (is_encoded(head.headers)) {
    if (body.empty()) return unusable(terms, "empty body", bodiless);
    return {head.status, errc::none, std::nullopt, {}, {}, {}};
  }
  completion_reader reader;
  reader.feed(body);
  // A response object has an `error` member of its own, which may be null.
  const bool whole = reader.finish();
  const bool is_error = (reader.error && !reader.is_response) || reader.is_error || reader.type() == "error";
  if (whole && !is_error)
    return {head.status, errc::none, std::nullopt, {}, {}, reader.usage, std::string{reader.model()}};
  if (body.empty()) return unusable(terms, "empty body", bodiless);
  if (!is_valid_json(body))
    return unusable(terms, "body is not JSON", "The model gateway's answer is not valid JSON.");
  const auto error = find_error(sole_object(body));
  if (!error.present) {
    // Routes with `any_media` may return any JSON; all others promise an object.
    if (!terms.any_media)
      return unusable(terms, "body is no JSON object", "The model gateway's answer is not a JSON object.");
    return {head.status, errc::none, std::nullopt, {}, {}, {}};
  }
  // The error is judged as if the answer had the status that the error means.
  const response_head named{meaning_of(error).status, head.headers};
  auto verdict = judge_error(named, body, terms);
  verdict.detail += ", inside a " + std::to_string(head.status);
  return verdict;
}

}  // namespace

answer_plan plan_answer(const response_head& head, const answer_terms& terms) {
  if (head.status == 304 && terms.has_condition) return answer_plan::pass;
  if (head.status >= 300 && head.status < 400) return answer_plan::refuse;
  if (head.status < 200 || head.status > 599) return answer_plan::refuse;
  if (head.status >= 300) return answer_plan::hold;
  if (terms.as_it_comes) return answer_plan::pass;
  const auto type = head.headers.find("content-type");
  const auto media = type ? media_type(*type) : std::string_view{};
  if (iequals(media, "text/event-stream")) return terms.may_stream ? answer_plan::stream : answer_plan::hold;
  if (terms.any_media && !is_json_media(media)) return answer_plan::pass;
  return answer_plan::hold;
}

held_verdict judge_held(const response_head& head, std::string_view body, const answer_terms& terms) {
  return head.status < 300 ? judge_success(head, body, terms) : judge_error(head, body, terms);
}

failure cut_answer(failure reason, bool streaming) {
  if (!streaming) return reason;
  if (reason.code == errc::upstream_invalid_response) reason.code = errc::upstream_disconnected;
  if (reason.code == errc::upstream_disconnected && reason.message.empty())
    reason.message = "The model gateway ended the stream before its end.";
  return reason;
}

}  // namespace llm_proxy
