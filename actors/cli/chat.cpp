// llm-proxy chat: sends one question to the running service, and prints the answer as it streams.
#include "actors/cli/commands.hpp"
#include "actors/cli/running_service.hpp"
#include "config/log_safe.hpp"
#include "http/dialect/sse.hpp"
#include "http/json/json_text.hpp"
#include "http/json/json_walk.hpp"

#include <array>
#include <iostream>
#include <iterator>
#include <ostream>
#include <unistd.h>

namespace llm_proxy {

namespace {

constexpr option_name model_option{"--model", "-m"};
constexpr option_name system_option{"--system", "-s"};

std::string chat_body(std::string_view model, const std::optional<std::string>& system,
                      std::string_view text) {
  std::string body = "{\"model\":" + json_quoted(model) + ",\"stream\":true,\"messages\":[";
  if (system) body += "{\"role\":\"system\",\"content\":" + json_quoted(*system) + "},";
  return body + "{\"role\":\"user\",\"content\":" + json_quoted(text) + "}]}";
}

/// The text that a chunk adds to the answer, and whether the chunk is an error instead.
struct chunk_text {
  std::string text;
  bool error = false;
};

chunk_text read_chunk(std::string_view json) {
  chunk_text out;
  for_each_member(json, [&](std::string_view name, json_token kind, std::string_view raw) {
    if (name == "error" && kind != json_token::literal_null) out.error = true;
    if (name != "choices" || kind != json_token::begin_array) return;
    for_each_element(raw, [&](json_token, std::string_view choice) {
      for_each_member(choice, [&](std::string_view part, json_token type, std::string_view delta) {
        if (part != "delta" || type != json_token::begin_object) return;
        for_each_member(delta, [&](std::string_view field, json_token value, std::string_view text) {
          if (field == "content" && value == json_token::string) out.text += json_unescaped(text);
        });
      });
    });
  });
  return out;
}

/// Prints a stream while it arrives.
class printer {
 public:
  explicit printer(std::ostream& out) : out_{out}, terminal_{isatty(STDOUT_FILENO) != 0} {}

  void take(unsigned status, std::string_view bytes) {
    if (status != 200) {
      refusal_ += bytes;
      return;
    }
    for (const auto& event : events_.feed(bytes)) {
      if (event.data == "[DONE]") {
        done_ = true;
      } else if (is_valid_json(event.data)) {
        const auto chunk = read_chunk(event.data);
        if (chunk.error) refusal_ = event.data;
        out_ << for_output(chunk.text, terminal_) << std::flush;
        any_ = any_ || !chunk.text.empty();
      }
    }
  }

  bool done() const { return done_; }
  bool any_text() const { return any_; }
  const std::string& refusal() const { return refusal_; }

 private:
  std::ostream& out_;
  bool terminal_;
  sse_decoder events_;
  std::string refusal_;  // the body of an error
  bool done_ = false;
  bool any_ = false;
};

/// If the service does not know the model `asked`, writes to `err` which models it knows. `asked` is empty if
/// the service was to use its default model, whose name is not known here.
void tell_models(std::ostream& err, const running_service& service, std::string_view asked) {
  auto request = request_to(service);
  request.path = "/v1/models";
  std::string body;
  const auto result = fetch(request, [&](unsigned, std::string_view bytes) { body += bytes; });
  if (result.status != 200) return;
  const auto models = read_openai_list(body);
  constexpr std::size_t most = 20;
  std::string names;
  bool is_known = false;
  for (std::size_t i = 0; i < models.size(); ++i) {
    is_known = is_known || models[i].id == asked;
    if (i < most) names += (names.empty() ? "" : ", ") + log_safe(models[i].id);
  }
  if (is_known || names.empty()) return;
  if (models.size() > most)
    names += " and " + std::to_string(models.size() - most) + " more (llm-proxy models)";
  err << "llm-proxy: "
      << (asked.empty() ? "without -m the service's DEFAULT_MODEL was asked"
                        : "the service has no model " + log_safe(asked))
      << "; -m takes one of: " << names << '\n';
}

}  // namespace

int chat_command(std::span<const char* const> arguments, const parsed_settings& parsed, std::ostream& out,
                 std::ostream& err) {
  constexpr std::array known{model_option, system_option, url_option, ca_file_option};
  const auto given = parse_arguments(arguments, known);
  if (!given.fault.empty()) return report_wrong_use(err, given.fault);
  if (given.words.size() != 1)
    return report_wrong_use(err, "chat takes one text (in quotes), or - to read it from the input");
  const auto service = find_service(parsed.values, given);
  if (!service.fault.empty()) return report_wrong_use(err, service.fault);
  auto text = given.words.front();
  if (text == "-") text.assign(std::istreambuf_iterator<char>{std::cin}, {});

  auto request = request_to(service);
  request.method = "POST";
  request.path = "/v1/chat/completions";
  // An empty model stands for the service's DEFAULT_MODEL.
  request.body =
      chat_body(given.option(model_option.name).value_or(""), given.option(system_option.name), text);
  printer answer{out};
  auto result = fetch(request, [&](unsigned status, std::string_view bytes) { answer.take(status, bytes); });
  if (answer.any_text()) out << '\n' << std::flush;
  if (result.status == 200 && answer.refusal().empty() && result.fault.empty() && !answer.done())
    result.fault = "the answer ended without [DONE]";
  // An error event explains more than the broken connection that follows it.
  if (result.status == 200 && !answer.refusal().empty()) result.fault.clear();
  if (result.status == 200 && answer.done() && result.fault.empty()) return 0;
  const auto code = report_failure(err, service, result, answer.refusal());
  const bool may_be_the_model = result.status == 400 || result.status == 403 || result.status == 404;
  if (may_be_the_model && result.fault.empty())
    tell_models(err, service, given.option(model_option.name).value_or(""));
  return code;
}

}  // namespace llm_proxy
