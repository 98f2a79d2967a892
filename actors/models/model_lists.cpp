#include "actors/models/model_lists.hpp"

#include "config/log_safe.hpp"
#include "http/dialect/anthropic_models.hpp"
#include "http/dialect/claude_code_models.hpp"
#include "http/keys/model_rules.hpp"

#include <algorithm>
#include <iterator>

namespace llm_proxy {

namespace {

using body_or_failure = std::variant<std::string, failure>;

failure no_such_model(std::string_view id) {
  return {.code = errc::model_not_found,
          .message = "The model '" + log_safe(id) + "' does not exist.",
          .param = "model"};
}

/// Returns the entries of `all` that a key with the patterns `allowed` may use. A key may use an alias if it
/// may use the alias or the model behind it. Entries are copied, into `room`, only if there are patterns.
template <class Entry>
const std::vector<Entry>& visible(const std::vector<Entry>& all, const std::vector<std::string>& allowed,
                                  std::vector<Entry>& room) {
  if (allowed.empty()) return all;
  std::copy_if(all.begin(), all.end(), std::back_inserter(room), [&](const Entry& each) {
    return allows_model(allowed, each.id) ||
           (!each.stands_for.empty() && allows_model(allowed, each.stands_for));
  });
  return room;
}

template <class Entry>
const Entry* find_model(const std::vector<Entry>& all, std::string_view id) {
  const auto at = std::find_if(all.begin(), all.end(), [&](const Entry& each) { return each.id == id; });
  return at != all.end() ? &*at : nullptr;
}

body_or_failure openai_body(const std::vector<model_entry>& all, const model_list_request& asked) {
  std::vector<model_entry> room;
  const auto& seen = visible(all, asked.allowed, room);
  if (asked.target == endpoint::llm_models) return llm_models_body(seen);
  if (asked.target == endpoint::models) return models_list_body(seen);
  const auto* model = find_model(seen, asked.detail);
  if (model == nullptr) return no_such_model(asked.detail);
  return model_body(*model);
}

/// Returns the list in Anthropic's shape that fits the request. If upstream has no such list, it is made from
/// OpenAI's.
anthropic_list anthropic_list_for(const models& known, const request_head& head) {
  if (known.claude_code && is_claude_code(head.headers)) return known.claude_code;
  if (known.anthropic) return known.anthropic;
  std::vector<anthropic_model> made;
  std::transform(known.list->begin(), known.list->end(), std::back_inserter(made), make_anthropic_model);
  return std::make_shared<const std::vector<anthropic_model>>(std::move(made));
}

body_or_failure anthropic_body(const std::vector<anthropic_model>& all, const model_list_request& asked) {
  std::vector<anthropic_model> room;
  const auto& seen = visible(all, asked.allowed, room);
  if (asked.target == endpoint::models) {
    auto page = anthropic_list_body(seen, asked.head.target);
    if (auto* fault = std::get_if<page_fault>(&page))
      return failure{
          .code = errc::bad_request, .message = std::move(fault->message), .param = std::move(fault->param)};
    return std::get<std::string>(std::move(page));
  }
  const auto* model = find_model(seen, asked.detail);
  if (model == nullptr) return no_such_model(asked.detail);
  return model->json;
}

}  // namespace

bool asks_in_anthropic_shape(endpoint target, const request_head& head) {
  const bool has_both = target == endpoint::models || target == endpoint::model;
  return has_both && head.headers.find("anthropic-version").has_value();
}

body_or_failure model_list_body(const models& known, const model_list_request& asked) {
  if (!asks_in_anthropic_shape(asked.target, asked.head)) return openai_body(*known.list, asked);
  return anthropic_body(*anthropic_list_for(known, asked.head), asked);
}

}  // namespace llm_proxy
