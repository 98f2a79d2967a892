#include "http/dialect/anthropic_models.hpp"

#include "http/dialect/claude_code_models.hpp"
#include "http/json/json_text.hpp"
#include "http/json/json_walk.hpp"
#include "http/text/text.hpp"
#include "http/wire/rfc3339.hpp"

#include <boost/url/parse.hpp>
#include <boost/url/url_view.hpp>

#include <algorithm>
#include <cstddef>
#include <utility>

namespace llm_proxy {

namespace {

constexpr std::size_t most_per_page = 1000;

struct page_request {
  std::optional<std::string> limit, after_id, before_id;
};

page_request read_query(std::string_view target) {
  page_request asked;
  const auto parsed = boost::urls::parse_origin_form({target.data(), target.size()});
  if (!parsed) return asked;
  for (const auto& each : parsed->params()) {
    if (each.key == "limit") asked.limit = each.value;
    if (each.key == "after_id") asked.after_id = each.value;
    if (each.key == "before_id") asked.before_id = each.value;
  }
  return asked;
}

std::string number_or_null(const std::optional<std::int64_t>& number) {
  return number ? std::to_string(*number) : "null";
}

/// `source`: the text of the member `source_model`, or empty.
anthropic_model make_entry(const model_entry& model, std::string id, const std::string& source) {
  auto json = R"({"type":"model","id":)" + json_quoted(id) + source + R"(,"display_name":)" +
              json_quoted(model.name.empty() ? model.id : model.name) + R"(,"created_at":")" +
              format_rfc3339(model.created) + R"(","max_input_tokens":)" +
              number_or_null(model.max_input_tokens) + R"(,"max_tokens":)" +
              number_or_null(model.max_output_tokens) + "}";
  return {std::move(id), std::move(json), model.stands_for};
}

std::string quoted_or_null(const std::string* id) {
  return id != nullptr ? json_quoted(*id) : "null";
}

}  // namespace

std::optional<std::vector<anthropic_model>> read_anthropic_models(std::string_view json) {
  if (!is_valid_json(json)) return std::nullopt;
  std::vector<anthropic_model> models;
  bool is_list = false, is_other = false;
  for_each_member(json, [&](std::string_view name, json_token kind, std::string_view data) {
    if (name != "data" || kind != json_token::begin_array) return;
    is_list = true;
    for_each_element(data, [&](json_token type, std::string_view entry) {
      if (type != json_token::begin_object) return;
      std::string id;
      bool is_model = false;
      for_each_member(entry, [&](std::string_view member, json_token value, std::string_view raw) {
        if (value != json_token::string) return;
        if (member == "id") id = json_unescaped(raw);
        if (member == "type") is_model = json_unescaped(raw) == "model";
      });
      // Older versions of LiteLLM always send OpenAI's list.
      is_other = is_other || !is_model;
      if (is_model && !id.empty()) models.push_back({std::move(id), std::string{entry}});
    });
  });
  if (!is_list || is_other) return std::nullopt;
  return models;
}

anthropic_model make_anthropic_model(const model_entry& model) {
  return make_entry(model, model.id, {});
}

anthropic_model make_claude_code_model(const model_entry& model) {
  return make_entry(model, claude_code_id(model.id), R"(,"source_model":)" + json_quoted(model.id));
}

std::variant<std::string, page_fault> anthropic_list_body(const std::vector<anthropic_model>& models,
                                                          std::string_view target) {
  const auto asked = read_query(target);
  auto limit = models.size();
  if (asked.limit) {
    limit = parse_number<std::size_t>(*asked.limit).value_or(0);
    if (limit < 1 || limit > most_per_page)
      return page_fault{"'limit' must be a whole number from 1 to 1000", "limit"};
  }
  const auto place_of = [&](const std::string& id) {
    return std::find_if(models.begin(), models.end(), [&](const auto& each) { return each.id == id; });
  };
  auto begin = models.begin(), end = models.end();
  if (asked.after_id) {
    begin = place_of(*asked.after_id);
    if (begin == models.end()) return page_fault{"'after_id' names no model of the list", "after_id"};
    ++begin;
  }
  if (asked.before_id) {
    end = place_of(*asked.before_id);
    if (end == models.end()) return page_fault{"'before_id' names no model of the list", "before_id"};
  }
  if (begin > end) begin = end;
  const auto size = static_cast<std::size_t>(end - begin);
  const bool has_more = size > limit;
  // A page has the entries that are nearest to the id that was named.
  if (has_more && asked.before_id && !asked.after_id)
    begin = end - static_cast<std::ptrdiff_t>(limit);
  else if (has_more)
    end = begin + static_cast<std::ptrdiff_t>(limit);
  std::string data;
  for (auto each = begin; each != end; ++each) data.append(data.empty() ? "" : ",").append(each->json);
  const bool any = begin != end;
  return R"({"data":[)" + data + R"(],"has_more":)" + (has_more ? "true" : "false") + R"(,"first_id":)" +
         quoted_or_null(any ? &begin->id : nullptr) + R"(,"last_id":)" +
         quoted_or_null(any ? &(end - 1)->id : nullptr) + "}";
}

}  // namespace llm_proxy
