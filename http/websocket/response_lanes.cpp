#include "http/websocket/response_lanes.hpp"

#include "http/json/json_members.hpp"
#include "http/json/json_text.hpp"
#include "http/websocket/warm_up.hpp"
#include "http/websocket/websocket_error.hpp"

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

namespace llm_proxy {

namespace {

constexpr std::size_t longest_name = 256;

bool is_lane_name(std::string_view name) {
  return !name.empty() && name.size() <= longest_name && std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-' || c == '.';
  });
}

/// Returns the text of a member that is a string; nullopt if it is anything else.
std::optional<std::string> text_in(const json_member* member) {
  if (member == nullptr || member->kind != json_token::string) return std::nullopt;
  return json_unescaped(member->value);
}

bool is_false(const json_member* member) {
  return member != nullptr && member->kind == json_token::literal_false;
}

void append_items(std::string& list, std::string_view items) {
  if (items.empty()) return;
  if (!list.empty()) list += ',';
  list += items;
}

/// Returns the elements of a JSON array, without its brackets.
std::string_view elements_of(std::string_view array) {
  array = array.substr(1, array.size() - 2);
  const auto begin = array.find_first_not_of(" \t\r\n");
  if (begin == std::string_view::npos) return {};
  return array.substr(begin, array.find_last_not_of(" \t\r\n") - begin + 1);
}

/// Returns `input` as a list of items; nullopt if it has a form that no endpoint takes.
std::optional<std::string> items_of(const json_member* input) {
  if (input == nullptr || input->kind == json_token::literal_null) return std::string{};
  if (input->kind == json_token::begin_array) return std::string{elements_of(input->value)};
  if (input->kind != json_token::string) return std::nullopt;
  return R"({"type":"message","role":"user","content":)" + std::string{input->value} + "}";
}

/// Returns the type of an event, of which only the beginning is read.
std::string type_of(std::string_view event) {
  json_scanner scanner{1};
  std::string type;
  bool is_next = false;
  while (!event.empty() && type.empty()) {
    const auto piece = event.substr(0, 128);
    event.remove_prefix(piece.size());
    const bool goes_on = scanner.feed(piece, [&](json_token token) {
      if (scanner.depth() != 1) return;
      if (token == json_token::string && is_next) type = scanner.text();
      is_next = token == json_token::key && scanner.text() == "type";
    });
    if (!goes_on) return {};
  }
  return type;
}

}  // namespace

/// A message of the client, read.
struct response_lanes::request {
  explicit request(const std::vector<json_member>& all)
      : members{all},
        lane{find_member(all, "stream_id")},
        parent{text_in(find_member(all, "previous_response_id")).value_or("")},
        is_stored{!is_false(find_member(all, "store"))},
        generates{!is_false(find_member(all, "generate"))} {}

  const std::vector<json_member>& members;
  const json_member* lane;
  std::string parent;
  bool is_stored;
  bool generates;
};

// -- the client's messages -------------------------------------------------------------------------

void response_lanes::take(std::string_view message) {
  const auto members = json_members(message);
  if (!members) {
    fail({}, {.code = errc::invalid_json, .message = "The message is not a JSON object."});
    return;
  }
  const auto type = text_in(find_member(*members, "type")).value_or("");
  const request asked{*members};
  if (type == "response.create") {
    create(message, asked);
  } else if (type == "response.steer") {
    steer(asked);
  } else if (type != "response.processed") {
    fail({}, {.code = errc::unknown_message,
              .message = "Messages of the type " + json_quoted(type.substr(0, 100)) + " are not known.",
              .param = "type"});
  }
}

void response_lanes::create(std::string_view message, const request& asked) {
  std::string lane;
  if (asked.lane != nullptr && asked.lane->kind != json_token::literal_null) {
    lane = text_in(asked.lane).value_or("");
    if (!is_lane_name(lane)) {
      fail({}, {.code = errc::invalid_stream_id, .param = "stream_id"});
      return;
    }
    if (!names_.contains(lane) && names_.size() >= most_names) {
      fail(lane, {.code = errc::websocket_stream_limit_reached, .param = "stream_id"});
      return;
    }
    names_.insert(lane);
  }
  if (refusal_.code != errc::none) {
    fail(lane, refusal_);
    return;
  }
  const auto* background = find_member(asked.members, "background");
  if (background != nullptr && background->kind == json_token::literal_true) {
    fail(lane, {.code = errc::invalid_shape,
                .message = "A response over a WebSocket cannot run in the background.",
                .param = "background"});
    return;
  }
  const auto waits_on_lane = [&](const waiting& each) { return each.lane == lane; };
  const bool waits = running_.size() >= most_running || runs(lane) ||
                     std::any_of(waiting_.begin(), waiting_.end(), waits_on_lane);
  if (!waits) {
    begin(lane, message);
    return;
  }
  if (waiting_.size() >= most_waiting || waiting_bytes_ + message.size() > limits_.waiting_bytes) {
    fail(lane, {.code = errc::websocket_queue_full});
    return;
  }
  waiting_bytes_ += message.size();
  waiting_.push_back({std::move(lane), std::string{message}});
}

/// A response that upstream makes over HTTP cannot be steered. The client gets its input back.
void response_lanes::steer(const request& asked) {
  const auto* input = find_member(asked.members, "input");
  output_.send(
      R"({"type":"response.steer.failed","sequence_number":0,"error":{"type":"invalid_request_error",)"
      R"("code":"steering_not_supported","message":"This service does not steer responses: continue the )"
      R"(response with another response.create."},"steer":{"previous_response_id":)" +
      json_quoted(asked.parent) + R"(,"input":)" + (input != nullptr ? std::string{input->value} : "null") +
      "}}");
}

void response_lanes::refuse(const failure& reason) {
  refusal_ = reason;
  waiting_bytes_ = 0;
  for (const auto& each : std::exchange(waiting_, {})) fail(each.lane, reason);
}

bool response_lanes::runs(const std::string& lane) const {
  return std::any_of(running_.begin(), running_.end(),
                     [&](const auto& each) { return each.second.lane == lane; });
}

void response_lanes::begin_waiting() {
  std::set<std::string> passed;  // a response never overtakes an earlier one of its lane
  for (auto at = waiting_.begin(); at != waiting_.end() && running_.size() < most_running;) {
    if (runs(at->lane) || passed.contains(at->lane)) {
      passed.insert(at->lane);
      ++at;
      continue;
    }
    const auto next = std::move(*at);
    at = waiting_.erase(at);
    waiting_bytes_ -= next.message.size();
    begin(next.lane, next.message);
  }
}

// -- a response begins -----------------------------------------------------------------------------

void response_lanes::begin(const std::string& lane, std::string_view message) {
  const auto members = *json_members(message);
  const request asked{members};
  const auto* known = asked.parent.empty() ? nullptr : find(asked.parent);
  if (!asked.parent.empty() && known == nullptr && !asked.is_stored) {
    fail(lane,
         {.code = errc::previous_response_not_found,
          .message = "Previous response with id " + json_quoted(asked.parent.substr(0, 100)) + " not found.",
          .param = "previous_response_id"});
    return;
  }
  const bool expands = known != nullptr && (!asked.is_stored || known->is_warm_up);
  const auto* input = find_member(members, "input");
  const auto own_items = items_of(input);
  remembered so_far;
  if (expands) {
    so_far.base = known->base;
    so_far.items = known->items;
  } else {
    so_far.base = asked.parent;
  }
  append_items(so_far.items, own_items.value_or(""));
  if (!asked.generates && own_items) {
    warm_up(lane, asked, std::move(so_far));
    return;
  }

  std::string body = "{";
  for (const auto& member : members) {
    const bool is_replaced =
        expands && (member.key == "previous_response_id" || (member.key == "input" && own_items));
    if (is_replaced || member.key == "type" || member.key == "stream_id" || member.key == "generate" ||
        member.key == "stream") {
      continue;
    }
    body.append(member.raw).append(",");
  }
  if (expands && !so_far.base.empty()) body += R"("previous_response_id":)" + json_quoted(so_far.base) + ",";
  if (expands && own_items) body += R"("input":[)" + so_far.items + "],";
  body += R"("stream":true})";

  running response;
  response.lane = lane;
  response.parent = asked.parent;
  response.has_items = own_items.has_value();
  response.size = so_far.size();
  if (fits(response)) response.known = std::move(so_far);
  const auto number = next_number_++;
  running_.emplace(number, std::move(response));
  output_.post(number, std::move(body));
}

/// Answers a request that generates nothing: it asks no model, and what it brings is remembered.
void response_lanes::warm_up(const std::string& lane, const request& asked, remembered&& known) {
  const auto* model = find_member(asked.members, "model");
  known.id = make_warm_up_id();
  known.is_warm_up = true;
  for (const auto& event : warm_up_events(known.id, model != nullptr ? model->value : "null", asked.parent))
    output_.send(on_lane(lane, event));
  if (known.size() > limits_.memory) output_.note_too_large(known.size());
  remember(lane, std::move(known));
}

// -- its answer ------------------------------------------------------------------------------------

void response_lanes::take_event(std::uint64_t number, std::string_view data) {
  const auto at = running_.find(number);
  // A client reads each message as an object, so what is none ([DONE]) is not for it.
  if (at == running_.end() || !is_json_object(data)) return;
  auto& response = at->second;
  if (response.is_complete || response.is_failed) return;
  const auto type = type_of(data);
  if (type == "error") {
    response.is_failed = true;
    output_.send(websocket_error_of_event(response.lane, data));
    return;
  }
  if (type == "response.failed") {
    response.is_failed = true;
  } else if (type == "response.completed" || type == "response.incomplete") {
    response.is_complete = true;
    note_end_of(response, data);
  } else if (type == "response.output_item.done") {
    if (const auto members = json_members(data)) {
      if (const auto* item = find_member(*members, "item")) note_output(response, item->value);
    }
  }
  output_.send(on_lane(response.lane, data));
}

/// Reads the id and the output of a response that is complete. Some upstreams name no output there, only in
/// the events before.
void response_lanes::note_end_of(running& response, std::string_view data) {
  const auto members = json_members(data);
  const auto* object = members ? find_member(*members, "response") : nullptr;
  const auto inner = object != nullptr ? json_members(object->value) : std::nullopt;
  if (!inner) return;
  response.known.id = text_in(find_member(*inner, "id")).value_or("");
  const auto* output = find_member(*inner, "output");
  if (output == nullptr || output->kind != json_token::begin_array) return;
  const auto items = elements_of(output->value);
  if (items.empty()) return;
  response.size -= response.output_size;
  response.output_size = 0;
  response.output.clear();
  note_output(response, items);
}

/// Adds to the output of a response. Once it does not fit, only its size is counted.
void response_lanes::note_output(running& response, std::string_view items) {
  response.output_size += items.size();
  response.size += items.size();
  if (fits(response)) append_items(response.output, items);
}

void response_lanes::take_error(std::uint64_t number, unsigned status, std::string_view body,
                                std::string_view headers) {
  const auto at = running_.find(number);
  if (at == running_.end()) return;
  at->second.is_failed = true;
  output_.send(websocket_error(at->second.lane, status, body, headers));
}

void response_lanes::end(std::uint64_t number) {
  const auto at = running_.find(number);
  if (at == running_.end()) return;
  auto response = std::move(at->second);
  running_.erase(at);
  if (!response.is_complete && !response.is_failed) {
    response.is_failed = true;
    fail(response.lane, {.code = errc::upstream_disconnected});
  }
  if (response.is_complete && response.has_items && !response.known.id.empty()) {
    if (fits(response)) {
      append_items(response.known.items, response.output);
      remember(response.lane, std::move(response.known));
    } else {
      remembered_.erase(response.lane);  // only its latest response counts
      output_.note_too_large(response.size);
    }
  } else if (response.is_complete) {
    remembered_.erase(response.lane);
  } else {
    const auto latest = remembered_.find(response.lane);
    if (latest != remembered_.end() && latest->second.id == response.parent) remembered_.erase(latest);
  }
  begin_waiting();
}

// -- memory ----------------------------------------------------------------------------------------

const response_lanes::remembered* response_lanes::find(std::string_view id) const {
  for (const auto& [lane, what] : remembered_) {
    if (what.id == id) return &what;
  }
  return nullptr;
}

std::size_t response_lanes::remembered_bytes() const {
  std::size_t sum = 0;
  for (const auto& [lane, what] : remembered_) sum += what.size();
  return sum;
}

void response_lanes::remember(const std::string& lane, remembered&& what) {
  what.age = next_age_++;
  remembered_.insert_or_assign(lane, std::move(what));
  while (remembered_bytes() > limits_.memory) {
    remembered_.erase(
        std::min_element(remembered_.begin(), remembered_.end(),
                         [](const auto& a, const auto& b) { return a.second.age < b.second.age; }));
  }
}

void response_lanes::fail(const std::string& lane, const failure& reason) {
  output_.send(websocket_error(lane, reason));
}

}  // namespace llm_proxy
