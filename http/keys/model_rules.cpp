#include "http/keys/model_rules.hpp"

#include "http/dialect/claude_code_models.hpp"
#include "http/text/text.hpp"

#include <algorithm>
#include <array>

namespace llm_proxy {

namespace {

/// Members of a body that can name other models (LiteLLM 1.103.2, route_llm_request.py and
/// auth/auth_utils.py).
constexpr std::array<std::string_view, 8> bringing_models{"fallbacks",
                                                          "context_window_fallbacks",
                                                          "content_policy_fallbacks",
                                                          "router_settings_override",
                                                          "model_list",
                                                          "user_config",
                                                          "models",
                                                          "mock_testing_fallbacks"};

bool fits(std::string_view pattern, std::string_view model) {
  if (pattern.ends_with('*')) return model.starts_with(pattern.substr(0, pattern.size() - 1));
  return pattern == model;
}

}  // namespace

bool allows_model(const std::vector<std::string>& patterns, std::string_view model) {
  const auto is_named = [&](std::string_view name) {
    return std::any_of(patterns.begin(), patterns.end(), [&](const auto& each) { return fits(each, name); });
  };
  const auto allowed = [&](std::string_view name) {
    if (const auto meant = name_behind_claude_code_id(name); !meant.empty()) return is_named(meant);
    return is_named(name) || is_named(without_context_mark(name));
  };
  for (;;) {
    const auto comma = model.find(',');
    if (!allowed(trimmed(model.substr(0, comma)))) return false;
    if (comma == std::string_view::npos) return true;
    model.remove_prefix(comma + 1);
  }
}

std::string_view model_in_query(std::string_view target) {
  const auto query_at = target.find('?');
  for (auto query = query_at == std::string_view::npos ? std::string_view{} : target.substr(query_at + 1);
       !query.empty();) {
    const auto end = std::min(query.find_first_of("&;"), query.size());
    const auto parameter = query.substr(0, end);
    const auto name = percent_decoded(parameter.substr(0, parameter.find('=')));
    for (const std::string_view each : {"model", "target_model_names"}) {
      if (iequals(name, each)) return each;
    }
    query.remove_prefix(std::min(end + 1, query.size()));
  }
  return {};
}

std::string_view member_bringing_models(std::string_view name) {
  const auto at = std::find(bringing_models.begin(), bringing_models.end(), name);
  return at != bringing_models.end() ? *at : std::string_view{};
}

}  // namespace llm_proxy
