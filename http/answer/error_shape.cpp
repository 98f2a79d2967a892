#include "http/answer/error_shape.hpp"

#include "http/dialect/sse.hpp"
#include "http/json/json_text.hpp"

namespace llm_proxy {

namespace {

std::string quoted_or_null(std::string_view text) {
  return text.empty() ? "null" : json_quoted(text);
}

/// Returns the members of an error object, without braces.
std::string members(const error_words& words, std::string_view type) {
  return R"("message":)" + json_quoted(words.message) + R"(,"type":)" + quoted_or_null(type) +
         R"(,"param":)" + quoted_or_null(words.param) + R"(,"code":)" + quoted_or_null(words.code);
}

error_words words_of(const failure& fault) {
  const auto& row = describe(fault.code);
  return {row.status, fault.message.empty() ? row.message : std::string_view{fault.message}, row.type,
          fault.param, row.name};
}

std::string body(dialect speaks, const error_words& words, std::string_view first_members) {
  std::string out = "{";
  if (speaks == dialect::anthropic) out += R"("type":"error",)";
  out += first_members;
  const auto type = speaks == dialect::anthropic ? anthropic_error_type(words.status) : words.type;
  return out + R"("error":{)" + members(words, type) + "}}";
}

}  // namespace

std::string error_body(dialect speaks, const error_words& words) {
  return body(speaks, words, {});
}

std::string error_body(dialect speaks, const failure& fault, std::string_view detail) {
  if (fault.code == errc::unauthorized) detail = R"("unauthorized")";
  return body(speaks, words_of(fault), detail.empty() ? "" : R"("detail":)" + std::string{detail} + ",");
}

std::string error_event(dialect speaks, const error_words& words, std::uint64_t sequence_number) {
  switch (speaks) {
    case dialect::anthropic:
      return "event: error\n" + sse_event(error_body(speaks, words));
    case dialect::responses:
      // The members of the event that OpenAI documents, together with the object that its SDKs raise as an
      // error.
      return "event: error\n" +
             sse_event(R"({"type":"error","code":)" + quoted_or_null(words.code) + R"(,"message":)" +
                       json_quoted(words.message) + R"(,"param":)" + quoted_or_null(words.param) +
                       R"(,"sequence_number":)" + std::to_string(sequence_number) + R"(,"error":{)" +
                       members(words, words.type) + "}}");
    default:
      return sse_event(error_body(speaks, words));
  }
}

std::string error_event(dialect speaks, const failure& fault, std::uint64_t sequence_number) {
  return error_event(speaks, words_of(fault), sequence_number);
}

std::string_view anthropic_error_type(unsigned status) {
  switch (status) {
    case 401:
      return "authentication_error";
    case 402:
      return "billing_error";
    case 403:
      return "permission_error";
    case 404:
      return "not_found_error";
    case 413:
      return "request_too_large";
    case 429:
      return "rate_limit_error";
    case 504:
      return "timeout_error";
    case 503:
    case 529:
      return "overloaded_error";
    default:
      return status < 500 ? "invalid_request_error" : "api_error";
  }
}

std::string_view openai_error_type(unsigned status) {
  switch (status) {
    case 401:
      return "authentication_error";
    case 403:
      return "permission_error";
    case 429:
      return "rate_limit_error";
    default:
      return status < 500 ? "invalid_request_error" : "upstream_error";
  }
}

}  // namespace llm_proxy
