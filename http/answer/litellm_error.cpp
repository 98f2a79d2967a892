#include "http/answer/litellm_error.hpp"

#include "http/answer/error_shape.hpp"
#include "http/answer/error_text.hpp"
#include "http/answer/error_words.hpp"
#include "http/dialect/sse.hpp"
#include "http/json/json_text.hpp"
#include "http/json/json_walk.hpp"

#include <algorithm>
#include <array>
#include <vector>

namespace llm_proxy {

namespace {

// -- whose fault it is -----------------------------------------------------------

/// Returns whose fault an error is, by the class that the message names. The status decides if the message
/// names no class, or names APIError with a status below 500: LiteLLM uses APIError for every status that has
/// no class.
blame source_of(unsigned status, std::string_view message) {
  const auto* row = litellm_class_in(message);
  if (row != nullptr && (row->name != "APIError" || status >= 500)) return row->source;
  if (status == 529) return blame::provider;  // Anthropic's own status for having no room
  if (status == 408 || status == 429 || status >= 500) return blame::litellm;
  if (status == 401 || status == 402 || status == 403) return blame::litellm;
  return blame::client;
}

/// Whether to try again, by the class that the message names. Without a class, or with APIError and a status
/// below 500, `meaning` decides. A word that forbids a retry is more precise than the class:
/// insufficient_quota also comes as a RateLimitError.
bool may_pass(unsigned status, const error_meaning& meaning, std::string_view message) {
  const auto* row = litellm_class_in(message);
  if (row == nullptr || (row->name == "APIError" && status < 500)) return meaning.retryable;
  return row->retryable && (meaning.retryable || !meaning.in_words);
}

/// Whether it is so certain that a retry cannot help that upstream's own headers are ignored. A spent budget,
/// for example, does not come back at once.
bool is_final(const error_meaning& meaning) {
  const bool spent = meaning.status == 402 || meaning.status == 429;
  return meaning.in_words && !meaning.retryable && (spent || !meaning.code.empty());
}

// -- the body ------------------------------------------------------------------

struct replacement {
  std::size_t begin;
  std::size_t end;
  std::string text;
};

/// Returns the message in an error body that is not in OpenAI's shape: the text of `error` or `message`, or
/// FastAPI's `detail`. That is a text, an object with `error` or `message`, or a list of objects with `msg`.
std::string text_of_detail(std::string_view body, int depth = 0) {
  constexpr int deepest = 3;
  std::string text;
  for_each_member(body, [&](std::string_view key, json_token kind, std::string_view raw) {
    if (key == "error" && kind == json_token::string) text = json_unescaped(raw);
    if (key == "error" && kind == json_token::begin_object) text = find_error(body).message;
    if (key == "message" && kind == json_token::string && text.empty()) text = json_unescaped(raw);
    if (key != "detail") return;
    if (kind == json_token::string) text = json_unescaped(raw);
    if (kind == json_token::begin_object && depth < deepest) text = text_of_detail(raw, depth + 1);
    if (kind != json_token::begin_array) return;
    for_each_element(raw, [&](json_token, std::string_view fault) {
      for_each_member(fault, [&](std::string_view name, json_token value, std::string_view msg) {
        if (name != "msg" || value != json_token::string) return;
        if (!text.empty()) text += "; ";
        text += json_unescaped(msg);
      });
    });
  });
  return text;
}

/// The edits of a body's bytes that clean its `error` object. `known`: `error` is an object with a message.
struct body_edits {
  bool known = false;
  bool says_error = false;  // a top-level "type":"error"
  std::vector<replacement> edits;
};

body_edits find_edits(std::string_view body, std::string_view new_code) {
  body_edits found;
  for_each_member(body, [&](std::string_view key, json_token kind, std::string_view raw) {
    if (key == "type") found.says_error = kind == json_token::string && raw == R"("error")";
    if (key != "error") return;
    found.known = kind == json_token::begin_object;
    found.edits.clear();
    if (!found.known) return;
    bool has_message = false;
    bool has_code = false;
    for_each_member(raw, [&](std::string_view name, json_token value, std::string_view text) {
      const auto begin = static_cast<std::size_t>(text.data() - body.data());
      const auto edit = [&](std::string with) {
        found.edits.push_back({begin, begin + text.size(), std::move(with)});
      };
      has_message = has_message || name == "message";
      has_code = has_code || name == "code";
      if (name == "code" && !new_code.empty()) {
        if (auto code = json_quoted(new_code); code != text) edit(std::move(code));
      } else if ((name == "type" || name == "param" || name == "code") && text == R"("None")") {
        edit("null");
      } else if (name == "message" && value == json_token::string) {
        const auto said = json_unescaped(text);
        auto kept = without_internals(said);
        if (kept != said) edit(json_quoted(kept));
      }
    });
    const auto end = static_cast<std::size_t>(raw.data() - body.data()) + raw.size() - 1;
    if (!has_message) found.known = false;
    if (!has_code && !new_code.empty())
      found.edits.push_back({end, end, R"(,"code":)" + json_quoted(new_code)});
  });
  return found;
}

std::string edited(std::string_view body, const std::vector<replacement>& edits) {
  std::string out;
  std::size_t done = 0;
  for (const auto& each : edits) {
    out.append(body.substr(done, each.begin - done)).append(each.text);
    done = each.end;
  }
  return out.append(body.substr(done));
}

/// Whether a client of this dialect recognises an error event as an error. OpenAI's SDKs raise an error for a
/// top-level `error`, and Anthropic's for the event's name. Those of the Responses API read the `type` and
/// check the `sequence_number`.
bool has_shape_of(dialect speaks, std::string_view name, std::string_view data) {
  bool says_error = false;
  bool has_error_type = false;
  bool has_message = false;
  bool has_number = false;
  bool inner_message = false;
  for_each_member(data, [&](std::string_view key, json_token kind, std::string_view raw) {
    if (key == "type") says_error = raw == R"("error")";
    if (key == "message")
      has_message =
          kind == json_token::string && without_internals(json_unescaped(raw)) == json_unescaped(raw);
    if (key == "sequence_number") has_number = kind == json_token::number;
    if (key != "error" || kind != json_token::begin_object) return;
    for_each_member(raw, [&](std::string_view member, json_token value, std::string_view text) {
      if (member == "message") inner_message = value == json_token::string;
      if (member == "type") has_error_type = value == json_token::string && text != R"("None")";
    });
  });
  switch (speaks) {
    case dialect::anthropic:
      return name == "error" && says_error && inner_message && has_error_type;
    case dialect::responses:
      return says_error && has_message && has_number;
    default:
      return inner_message;
  }
}

/// Returns the status that a client gets for an error status of upstream.
unsigned client_status(unsigned status) {
  if (status < 500 || status == 503 || status == 504 || status == 529) return status;
  return 502;
}

void replace_by(decoded_error& out, dialect speaks, failure fault) {
  out.code = fault.code;
  out.status = describe(fault.code).status;
  out.body = error_body(speaks, fault);
}

/// Returns the body in the shape of the client's dialect; empty if upstream's bytes have that shape already.
/// `object`: the body, or its first element if it is an array.
std::string normalized(const decoded_error& out, std::string_view body, std::string_view object,
                       const embedded_error& error, dialect speaks, std::string_view new_code) {
  // Anthropic has no codes: its SDK looks at the type.
  const bool has_codes = speaks != dialect::anthropic || new_code == "budget_exceeded";
  const auto found = find_edits(object, has_codes ? new_code : std::string_view{});
  const bool is_whole = object.size() == body.size();
  const bool right_shape = found.known && is_whole && found.says_error == (speaks == dialect::anthropic);
  if (right_shape) return found.edits.empty() ? std::string{} : edited(body, found.edits);
  auto said = error.message;
  if (said.empty() && !error.code.empty()) said = "The model gateway reported the error " + error.code + ".";
  if (said.empty()) said = "The model gateway answered " + std::to_string(out.status) + ".";
  const auto message = without_internals(said);
  const std::string_view type =
      error.type.empty() ? openai_error_type(out.status) : std::string_view{error.type};
  return error_body(
      speaks, {out.status, message, type, {}, new_code.empty() ? std::string_view{error.code} : new_code});
}

std::string header_or_empty(const header_list& headers, std::string_view name) {
  const auto value = headers.find(name);
  return value ? std::string{trimmed(*value)} : std::string{};
}

/// Returns when to try again, as a header or the message says; empty if neither does.
std::string retry_after_of(const header_list& headers, const embedded_error& error, bool retryable) {
  auto told = header_or_empty(headers, "retry-after");
  if (told.empty()) told = header_or_empty(headers, "llm_provider-retry-after");
  if (!told.empty() || !retryable) return told;
  const auto seconds = waiting_time(error.message);
  return seconds > 0 ? std::to_string(seconds) : std::string{};
}

}  // namespace

error_advice advice_for(errc code) {
  const auto& row = describe(code);
  const auto source = row.source == error_source::downstream ? blame::client
                      : row.source == error_source::upstream ? blame::litellm
                                                             : blame::proxy;
  // It takes about 3 seconds to notice that an upstream is back.
  return {source, row.retryable, code == errc::upstreams_down ? "3" : "", false};
}

void add_advice(header_list& headers, const error_advice& advice) {
  headers.add("x-llm-proxy-error-source", to_string(advice.source));
  if (advice.is_final) {
    for (const std::string_view name : {"x-should-retry", "retry-after", "retry-after-ms"})
      headers.remove(name);
  }
  if (!headers.find("x-should-retry")) headers.add("x-should-retry", advice.retryable ? "true" : "false");
  if (!advice.retry_after.empty() && !headers.find("retry-after"))
    headers.add("retry-after", advice.retry_after);
}

bool refuses_our_key(unsigned status, const embedded_error& error) {
  // Without a database LiteLLM reports an unknown key as one that it would have to look up.
  constexpr std::array<std::string_view, 3> of_the_key{"no_db_connection", "expired_key",
                                                       "token_not_found_in_db"};
  if (status == 400) return std::find(of_the_key.begin(), of_the_key.end(), error.type) != of_the_key.end();
  if (status != 401) return false;
  // LiteLLM has key_model_access_denied and similar types for teams, users and vector stores.
  return !error.type.ends_with("_access_denied") && error.type != "team_member_permission_error";
}

decoded_error decode_error(const response_head& head, std::string_view body, bool readable,
                           error_wording wording, dialect speaks) {
  decoded_error out;
  out.status = client_status(head.status);
  out.code = errc::upstream_error;
  out.detail = "upstream status " + std::to_string(head.status);
  if (!readable) {
    const auto meaning = meaning_of({}, head.status);
    out.advice = {source_of(head.status, {}), meaning.retryable, {}, false};
    if (head.status == 401) replace_by(out, speaks, {.code = errc::upstream_auth});
    if (head.status == 408) replace_by(out, speaks, {.code = errc::upstream_timeout});
    return out;
  }
  const auto object = sole_object(body);
  const bool is_object = is_json_object(object);
  auto error = is_object ? find_error(object) : embedded_error{};
  if (is_object && !error.present) error.message = text_of_detail(object);
  const auto meaning = meaning_of(error, head.status);
  const auto source = source_of(head.status, error.message);
  const bool provider = names_provider(error.message) || provider_is_overloaded(error);
  out.advice.source = provider && source == blame::litellm ? blame::provider : source;
  out.advice.retryable = may_pass(head.status, meaning, error.message);
  out.advice.is_final = is_final(meaning);
  if (!out.advice.is_final)
    out.advice.retry_after = retry_after_of(head.headers, error, out.advice.retryable);

  if (refuses_our_key(head.status, error)) {
    out.advice.source = provider ? blame::provider : blame::litellm;
    out.advice.retryable = false;
    out.detail += provider ? ": the provider refused LiteLLM's key" : ": LiteLLM refused this service's key";
    replace_by(out, speaks,
               {.code = errc::upstream_auth,
                .message = provider ? "The model's provider refused the model gateway's key." : ""});
    return out;
  }
  if (head.status == 401) out.status = 403;  // the key is valid, but may not use this model
  if (head.status == 408) {
    out.detail += ": " + error.message;
    replace_by(out, speaks, {.code = errc::upstream_timeout});
    return out;
  }
  if (!is_object) {
    const auto code = head.status == 504 ? errc::upstream_timeout : errc::upstream_error;
    const auto message =
        "The model gateway answered " + std::to_string(head.status) + " without a usable body.";
    out.code = code;
    out.body = error_body(speaks, {out.status, message, describe(code).type, {}, describe(code).name});
    return out;
  }
  if (!meaning.code.empty()) {
    out.status = meaning.status;
    out.advice.source = is_over_budget(error) ? blame::litellm : blame::client;
  }
  if (wording == error_wording::normalized) {
    out.body = normalized(out, body, object, error, speaks, meaning.code);
    if (!out.body.empty()) out.detail += ": " + (error.present ? error.message : std::string{body});
  }
  return out;
}

std::string worded_error_event(std::string event, error_wording wording, dialect speaks,
                               std::uint64_t sequence_number) {
  if (wording == error_wording::raw || speaks == dialect::opaque) return event;
  sse_decoder decoder;
  const auto decoded = decoder.feed(event);
  if (decoded.empty()) return event;
  const auto& [name, data, id] = decoded.front();
  const auto error = find_error(data);
  const auto meaning = meaning_of(error);
  if (refuses_our_key(meaning.status, error))
    return error_event(speaks, failure{.code = errc::upstream_auth}, sequence_number);
  if (has_shape_of(speaks, name, data)) {
    // Anthropic has no codes: its SDK looks at the type.
    const auto found = find_edits(data, speaks == dialect::anthropic ? std::string_view{} : meaning.code);
    if (found.edits.empty()) return event;
    return (name.empty() ? "" : "event: " + name + "\n") + sse_event(edited(data, found.edits));
  }
  const auto status = client_status(meaning.status);
  auto said = error.message.empty() ? text_of_detail(data) : error.message;
  if (said.empty() && !is_json_object(data)) said = data;
  if (said.empty()) said = "The model gateway reported an error in its stream.";
  const auto message = without_internals(said);
  const auto type = error.type.empty() ? openai_error_type(status) : std::string_view{error.type};
  const auto code = meaning.code.empty() ? std::string_view{error.code} : meaning.code;
  return error_event(speaks, {status, message, type, {}, code}, sequence_number);
}

std::string first_event_data(std::string_view stream) {
  sse_decoder decoder;
  const auto events = decoder.feed(stream);
  return events.empty() ? std::string{} : events.front().data;
}

}  // namespace llm_proxy
