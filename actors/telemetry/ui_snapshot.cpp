#include "actors/telemetry/ui_snapshot.hpp"

#include "http/json/json_text.hpp"

#include <algorithm>
#include <cmath>

namespace llm_proxy {

namespace {

/// Returns milliseconds with one decimal.
std::string rounded(double ms) {
  const auto tenths = static_cast<std::int64_t>(std::llround(ms * 10));
  return std::to_string(tenths / 10) + '.' + std::to_string(tenths % 10);
}

void append_sample(std::string& out, const session_sample& of) {
  out += R"({"id":)" + json_quoted(of.id) + R"(,"route":)" + json_quoted(of.route) + R"(,"model":)" +
         json_quoted(of.model) + R"(,"key":)" + json_quoted(of.key);
  out += of.stream ? R"(,"stream":true,"ms":)" : R"(,"stream":false,"ms":)";
  out += rounded(of.ms) + R"(,"ttft":)" + (of.first_byte_ms ? rounded(*of.first_byte_ms) : "null");
  out += R"(,"chunks":)" + std::to_string(of.chunks) + R"(,"bytes":)" + std::to_string(of.bytes);
  out += R"(,"tokens":)" + (of.tokens ? std::to_string(*of.tokens) : "null");
}

void separate(std::string& out) {
  if (out.back() != '[') out += ',';
}

}  // namespace

std::string ui_snapshot(const std::vector<observed>& seen, upstream_table* upstreams) {
  std::size_t active = 0;
  std::uint64_t missed = 0;
  std::size_t room = max_observed;
  std::string requests = "[";
  std::string ended = "[";
  for (const auto& thread : seen) {
    active += thread.active;
    missed += thread.missed;
    const auto fits = std::min(room, thread.requests.size());
    room -= fits;
    for (std::size_t i = 0; i < fits; ++i) {
      separate(requests);
      append_sample(requests, thread.requests[i]);
      requests += '}';
    }
    for (const auto& each : thread.ended) {
      separate(ended);
      append_sample(ended, each.last);
      ended +=
          R"(,"verdict":)" + json_quoted(each.verdict) + R"(,"status":)" + std::to_string(each.status) + '}';
    }
  }
  std::string states = "[";
  for (std::size_t i = 0; upstreams != nullptr && i < upstreams->size(); ++i) {
    separate(states);
    states += R"({"name":)" + json_quoted(upstreams->name(i)) +
              (upstreams->usable(i) ? R"(,"usable":true,"load":)" : R"(,"usable":false,"load":)") +
              std::to_string(upstreams->load(i).load()) + '}';
  }
  return R"({"active":)" + std::to_string(active) + R"(,"requests":)" + requests + R"(],"ended":)" + ended +
         R"(],"missed":)" + std::to_string(missed) + R"(,"upstreams":)" + states + "]}";
}

}  // namespace llm_proxy
