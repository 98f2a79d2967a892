// Plays a client and an upstream against the lanes of a WebSocket, one line of the input at a time: `>` and a
// message of the client, `<` and an event of the oldest answer, `e` for the end of the oldest answer, `E` for
// that of the newest, `!` and an error body, `d` for the drain. Whatever they say,
// - everything that is sent or posted is one JSON object, and a post never has a member of the WebSocket's
// own
// - at most 16 responses run
// - what is remembered stays within its limit
// - when all answers have ended, nothing waits.
#include "http/json/json_members.hpp"
#include "http/websocket/response_lanes.hpp"

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <iterator>
#include <map>
#include <string>
#include <string_view>

namespace {

using namespace llm_proxy;

void expect(bool holds) {
  if (!holds) std::abort();
}

class player final : private lane_output {
 public:
  void play(std::string_view line) {
    if (line.empty()) return;
    const auto rest = line.substr(1);
    switch (line.front()) {
      case '>':
        lanes_.take(rest);
        break;
      case '<':
        if (!open_.empty()) lanes_.take_event(open_.begin()->first, rest);
        break;
      case '!':
        if (!open_.empty()) lanes_.take_error(open_.begin()->first, 500, rest, {});
        break;
      case 'e':
        if (!open_.empty()) end(open_.begin());
        break;
      case 'E':
        if (!open_.empty()) end(std::prev(open_.end()));
        break;
      case 'd':
        lanes_.refuse({.code = errc::drained});
        break;
      default:
        break;
    }
    expect(open_.size() <= response_lanes::most_running);
    expect(lanes_.remembered_bytes() <= memory);
  }
  void end_all() {
    while (!open_.empty()) end(open_.begin());
    expect(lanes_.is_idle());
  }

 private:
  static constexpr std::size_t memory = 2000;

  void end(std::map<std::uint64_t, std::string>::iterator which) {
    const auto number = which->first;
    open_.erase(which);
    lanes_.end(number);
  }
  void send(std::string&& message) override { expect(json_members(message).has_value()); }
  void note_too_large(std::size_t bytes) override { expect(bytes > memory); }
  void post(std::uint64_t number, std::string&& body) override {
    const auto members = json_members(body);
    expect(members.has_value());
    for (const auto* name : {"type", "stream_id", "generate"}) expect(find_member(*members, name) == nullptr);
    const auto* stream = find_member(*members, "stream");
    expect(stream != nullptr && stream->value == "true");
    expect(open_.emplace(number, body).second);
  }

  response_lanes lanes_{{memory, 4000}, *this};
  std::map<std::uint64_t, std::string> open_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string_view text{reinterpret_cast<const char*>(data), size};
  player game;
  while (!text.empty()) {
    const auto line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(line.size() + 1, text.size()));
    game.play(line);
  }
  game.end_all();
  return 0;
}
