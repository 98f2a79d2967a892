// Checks, in each dialect, that a stream's bytes pass unchanged, except for a [DONE] in a dialect that does
// not end with one, and that the stream is judged the same however it is split. The first byte of the input
// chooses the dialect and the split.
#include "http/dialect/stream_judge.hpp"

#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

namespace {

struct result {
  std::string bytes;
  bool complete;
  bool done;
  bool error;
  std::uint64_t events;
  std::uint64_t progress;
  std::uint64_t tokens;
  bool operator==(const result&) const = default;
};

result read(llm_proxy::dialect speaks, std::string_view body, std::size_t piece) {
  llm_proxy::stream_judge stream{speaks};
  std::string out;
  for (std::size_t at = 0; at < body.size(); at += piece) {
    auto rest = body.substr(at, piece);
    do {
      out += stream.feed(rest);
      out += stream.take_error();
      rest = rest.substr(rest.size() - stream.unread());
    } while (!rest.empty());
  }
  const bool may_leave_out = speaks != llm_proxy::dialect::chat && body.find("[DONE]") != body.npos;
  if (!may_leave_out && out.size() + stream.held() != body.size()) std::abort();
  out += stream.finish();
  if (!may_leave_out && body.substr(0, out.size()) != out) std::abort();
  const auto tokens = stream.usage ? stream.usage->prompt_tokens + 3 * stream.usage->completion_tokens : 0;
  return {
      out,   stream.complete(), stream.done_seen(), stream.error_seen(), stream.events(), stream.progress(),
      tokens};
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0 || size > llm_proxy::stream_judge::whole_event_limit)
    return 0;  // parts of a longer event pass depending on the split
  const std::string_view body{reinterpret_cast<const char*>(data) + 1, size - 1};
  const auto speaks = static_cast<llm_proxy::dialect>(data[0] % 4U);
  if (read(speaks, body, size) != read(speaks, body, data[0] / 4U + 1)) std::abort();
  return 0;
}
