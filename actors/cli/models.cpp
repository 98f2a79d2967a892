// llm-proxy models: prints the models of the running service as a table.
#include "actors/cli/commands.hpp"
#include "actors/cli/running_service.hpp"
#include "http/json/json_text.hpp"
#include "http/json/json_walk.hpp"

#include <algorithm>
#include <array>
#include <iomanip>
#include <map>
#include <ostream>
#include <unistd.h>
#include <vector>

namespace llm_proxy {

namespace {

struct row {
  std::string id, provider, context, available;
};

/// Returns the rows of `list`, which has the original service's shape. The context sizes come from
/// `openai_list`: the original shape has a number for every model, although LiteLLM knows only some of them.
std::vector<row> read_rows(std::string_view list, std::string_view openai_list) {
  std::map<std::string, std::string> sizes;
  for (const auto& each : read_openai_list(openai_list)) sizes[each.id] = each.max_input_tokens;
  std::vector<row> rows;
  for_each_element(list, [&](json_token, std::string_view object) {
    row each;
    for_each_member(object, [&](std::string_view name, json_token kind, std::string_view raw) {
      const auto text = kind == json_token::string ? json_unescaped(raw) : std::string{raw};
      if (name == "id") each.id = text;
      if (name == "provider") each.provider = text;
      if (name == "is_available") each.available = text == "true" ? "yes" : "no";
    });
    const auto size = sizes.find(each.id);
    each.context = size != sizes.end() && !size->second.empty() ? size->second : "-";
    rows.push_back(std::move(each));
  });
  return rows;
}

}  // namespace

int models_command(std::span<const char* const> arguments, const parsed_settings& parsed, std::ostream& out,
                   std::ostream& err) {
  constexpr std::array known{url_option, ca_file_option};
  const auto given = parse_arguments(arguments, known);
  if (!given.fault.empty()) return report_wrong_use(err, given.fault);
  if (!given.words.empty()) return report_wrong_use(err, "models takes no words, only --url and --ca-file");
  const auto service = find_service(parsed.values, given);
  if (!service.fault.empty()) return report_wrong_use(err, service.fault);
  auto request = request_to(service);
  request.idle_timeout = std::chrono::seconds{30};
  std::array<std::string, 2> lists;
  for (std::size_t i = 0; i < lists.size(); ++i) {
    auto& body = lists[i];
    request.path = i == 0 ? "/v1/llm/models" : "/v1/models";
    auto result = fetch(request, [&](unsigned, std::string_view bytes) { body += bytes; });
    if (result.status == 200 && !is_valid_json(body))
      result.fault = "the answer is not JSON: is this llm-proxy?";
    if (result.status != 200 || !result.fault.empty()) return report_failure(err, service, result, body);
  }

  auto rows = read_rows(lists[0], lists[1]);
  rows.insert(rows.begin(), {"MODEL", "PROVIDER", "CONTEXT", "AVAILABLE"});
  std::size_t id_width = 0;
  std::size_t provider_width = 0;
  for (const auto& each : rows) {
    id_width = std::max(id_width, each.id.size());
    provider_width = std::max(provider_width, each.provider.size());
  }
  const bool terminal = isatty(STDOUT_FILENO) != 0;
  for (const auto& each : rows) {
    out << std::left << std::setw(static_cast<int>(id_width) + 2) << for_output(each.id, terminal)
        << std::setw(static_cast<int>(provider_width) + 2) << for_output(each.provider, terminal)
        << std::setw(9) << each.context << each.available << '\n';
  }
  out << std::flush;
  return 0;
}

}  // namespace llm_proxy
