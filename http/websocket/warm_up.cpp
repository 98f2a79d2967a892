#include "http/websocket/warm_up.hpp"

#include "http/json/json_text.hpp"
#include "http/wire/request_id.hpp"

#include <ctime>

namespace llm_proxy {

std::string make_warm_up_id() {
  return "resp_" + make_request_id();
}

std::array<std::string, 3> warm_up_events(std::string_view id, std::string_view model,
                                          std::string_view parent) {
  const auto event = [&, now = std::to_string(std::time(nullptr))](
                         std::string_view type, std::string_view status, int number, std::string_view usage) {
    std::string text = R"({"type":")";
    text.append(type).append(R"(","sequence_number":)").append(std::to_string(number));
    text.append(R"(,"response":{"id":)")
        .append(json_quoted(id))
        .append(R"(,"object":"response","created_at":)");
    text.append(now).append(R"(,"status":")").append(status).append(R"(","model":)").append(model);
    text.append(R"(,"previous_response_id":)").append(parent.empty() ? "null" : json_quoted(parent));
    text.append(R"(,"output":[],"error":null,"incomplete_details":null,"instructions":null,"metadata":{},)");
    text.append(
        R"("parallel_tool_calls":true,"temperature":null,"tool_choice":"auto","tools":[],"top_p":null,)");
    return text.append(R"("usage":)").append(usage).append("}}");
  };
  return {event("response.created", "in_progress", 0, "null"),
          event("response.in_progress", "in_progress", 1, "null"),
          event("response.completed", "completed", 2,
                R"({"input_tokens":0,"input_tokens_details":{"cached_tokens":0},"output_tokens":0,)"
                R"("output_tokens_details":{"reasoning_tokens":0},"total_tokens":0})")};
}

}  // namespace llm_proxy
