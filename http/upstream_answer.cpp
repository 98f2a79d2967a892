#include "http/upstream_answer.hpp"

#include "http/completion_reader.hpp"
#include "http/json_scanner.hpp"
#include "http/openai.hpp"

namespace llm_proxy {

namespace {

bool is_encoded(const response_head& head) {
  const auto encoding = head.headers.find("content-encoding");
  return encoding && !iequals(trimmed(*encoding), "identity") && !encoding->empty();
}

held_verdict replace(errc code, std::string detail) {
  return {describe(code).status, code, failure{code, {}, detail, {}}, detail, {}};
}

held_verdict judge_success(const response_head& head, std::string_view body) {
  if (is_encoded(head)) {
    if (body.empty()) return replace(errc::upstream_invalid_response, "empty body");
    return {head.status, errc::none, std::nullopt, {}, {}};
  }
  completion_reader reader;
  reader.feed(body);
  if (reader.finish() && !reader.error) return {head.status, errc::none, std::nullopt, {}, reader.usage};
  if (!is_valid_json(body)) {
    return replace(errc::upstream_invalid_response, body.empty() ? "empty body" : "body is not JSON");
  }
  const auto error = find_error(body);
  if (!error.present) return {head.status, errc::none, std::nullopt, {}, {}};
  // It counts as if it had come under the status it names.
  const response_head named{error.status != 0 ? static_cast<unsigned>(error.status) : 502U, head.headers};
  auto verdict = judge_held(named, body);
  verdict.detail += ", inside a " + std::to_string(head.status);
  return verdict;
}

/// The client's status for an error status of upstream's.
unsigned client_status(unsigned status) {
  if (status < 500 || status == 503 || status == 504 || status == 529) return status;
  return 502;
}

}  // namespace

answer_plan plan_answer(const response_head& head, bool wants_stream) {
  if (head.status >= 300 && head.status < 400) return answer_plan::refuse;
  if (head.status < 200 || head.status > 599) return answer_plan::refuse;
  const auto type = head.headers.find("content-type");
  if (head.status < 300 && wants_stream && type && iequals(media_type(*type), "text/event-stream")) {
    return answer_plan::stream;
  }
  return answer_plan::hold;
}

bool refuses_our_key(unsigned status, std::string_view body) {
  if (status == 401) return find_error(body).type != "key_model_access_denied";
  // LiteLLM without a database takes an unknown key for one that it would have to look up.
  return status == 400 && find_error(body).type == "no_db_connection";
}

held_verdict judge_held(const response_head& head, std::string_view body) {
  const auto status = head.status;
  if (status < 300) return judge_success(head, body);
  const auto detail = "upstream status " + std::to_string(status);
  const bool readable = !is_encoded(head);
  const bool has_object = readable && is_json_object(body);
  if (refuses_our_key(status, has_object ? body : std::string_view{})) {
    return replace(errc::upstream_auth, detail);
  }
  if (status == 401) return {403, errc::upstream_error, std::nullopt, detail, {}};
  if (status == 408) return replace(errc::upstream_timeout, detail);
  held_verdict verdict{client_status(status), errc::upstream_error, std::nullopt, detail, {}};
  if (readable ? !has_object : body.empty()) {
    verdict.replaced =
        failure{errc::upstream_error,
                "The model gateway answered " + std::to_string(status) + " without a usable body.",
                detail,
                {}};
  }
  return verdict;
}

failure cut_answer(failure reason, bool streaming) {
  if (streaming && reason.code == errc::upstream_invalid_response) reason.code = errc::upstream_disconnected;
  if (!streaming && reason.code == errc::upstream_disconnected) reason.code = errc::upstream_invalid_response;
  return reason;
}

}  // namespace llm_proxy
