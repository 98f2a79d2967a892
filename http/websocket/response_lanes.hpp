// The state of one WebSocket of OpenAI's Responses API: which responses run, which wait, and what can be
// continued (developers.openai.com, "WebSocket mode"). It does no I/O.
//
// A client's `response.create` becomes a POST /v1/responses, and each event of the answer a message. A lane
// is a `stream_id`; without one it is the default lane. The responses of a lane run one after the other,
// those of different lanes side by side.
//
// A client continues a response by `previous_response_id` and sends only what is new. With `store: false` no
// upstream knows that response, so a lane remembers the items of its latest one, and what is posted has all
// of them.
#pragma once

#include "http/wire/errc.hpp"

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <set>
#include <string>
#include <string_view>

namespace llm_proxy {

struct lane_limits {
  std::size_t memory;         ///< bytes of items that are remembered, over all lanes
  std::size_t waiting_bytes;  ///< bytes of messages whose response has not begun
};

/// Does what response_lanes decides.
class lane_output {
 public:
  /// Sends a message to the client.
  virtual void send(std::string&& message) = 0;
  /// Posts a request for a response. What comes of it is told later with its `number`, never from within this
  /// call. end() always comes.
  virtual void post(std::uint64_t number, std::string&& body) = 0;
  /// A response of this many bytes is not remembered, because it exceeds the memory alone.
  virtual void note_too_large(std::size_t bytes) = 0;

 protected:
  ~lane_output() = default;
};

class response_lanes {
 public:
  /// The most responses that run at once; more of them wait.
  static constexpr std::size_t most_running = 16;
  /// The most names of lanes that a client may use.
  static constexpr std::size_t most_names = 32;
  /// The most messages that wait.
  static constexpr std::size_t most_waiting = 64;

  response_lanes(const lane_limits& limits, lane_output& output) : limits_{limits}, output_{output} {}

  /// Takes a text message of the client.
  void take(std::string_view message);

  /// Takes the data of an event of the answer.
  void take_event(std::uint64_t number, std::string_view data);
  /// Takes an answer that is an error. `body` is in OpenAI's shape. `headers`: a JSON object for the client;
  /// empty if there is none.
  void take_error(std::uint64_t number, unsigned status, std::string_view body, std::string_view headers);
  /// Says that the answer is over, whether it was complete or not.
  void end(std::uint64_t number);

  /// From now on every request for a response is answered with the error `reason`. Requests that wait are
  /// answered with it at once.
  void refuse(const failure& reason);
  /// Whether no response runs or waits.
  bool is_idle() const { return running_.empty() && waiting_.empty(); }
  /// Returns how many bytes of items are remembered.
  std::size_t remembered_bytes() const;

 private:
  /// A response that can be continued.
  struct remembered {
    std::string id;
    std::string base;   // an id that upstream knows and that comes before the items; empty if there is none
    std::string items;  // of input and output, comma-separated
    bool is_warm_up = false;  // upstream does not know the id
    std::uint64_t age = 0;

    std::size_t size() const { return id.size() + base.size() + items.size(); }
  };
  struct running {
    std::string lane;
    std::string parent;           // as the client named it
    remembered known;             // base and input; the output is added at the end
    std::string output;           // items that are complete, comma-separated
    std::size_t size = 0;         // bytes of all items, also if they are too many to be kept
    std::size_t output_size = 0;  // of them, those of the output
    bool has_items = true;        // false if the input is nothing that can be continued
    bool is_complete = false;
    bool is_failed = false;
  };
  struct waiting {
    std::string lane;
    std::string message;
  };
  struct request;

  void create(std::string_view message, const request& asked);
  void steer(const request& asked);
  void begin_waiting();
  void begin(const std::string& lane, std::string_view message);
  void warm_up(const std::string& lane, const request& asked, remembered&& known);
  bool runs(const std::string& lane) const;
  const remembered* find(std::string_view id) const;
  void remember(const std::string& lane, remembered&& what);
  void note_end_of(running& response, std::string_view data);
  void note_output(running& response, std::string_view items);
  bool fits(const running& response) const { return response.size <= limits_.memory; }
  void fail(const std::string& lane, const failure& reason);

  lane_limits limits_;
  lane_output& output_;
  std::map<std::uint64_t, running> running_;
  std::deque<waiting> waiting_;
  std::size_t waiting_bytes_ = 0;
  std::map<std::string, remembered, std::less<>> remembered_;  // by lane
  std::set<std::string, std::less<>> names_;
  failure refusal_{.code = errc::none};
  std::uint64_t next_number_ = 1;
  std::uint64_t next_age_ = 1;
};

}  // namespace llm_proxy
