// Helpers for the tests of the upstream side: a chat through the proxy, scripts for a scripted upstream,
// events.
#pragma once

#include "support/running_proxy.hpp"
#include "support/scripted_upstream.hpp"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

namespace llm_proxy::test {

inline const std::pair<std::string, std::string> key_field{"x-internal-auth", std::string{test_key}};

/// Sends one chat on a connection of its own and returns the answer.
inline response chat(const proxy& service, std::string_view body, header_list more = {},
                     milliseconds timeout = milliseconds{10'000}) {
  more.push_back(key_field);
  return request(service.port(), "POST", "/v1/chat/completions", more, body, timeout);
}

inline response get(const proxy& service, std::string_view path) {
  return request(service.port(), "GET", path, {key_field});
}

inline bool send_chat(raw_connection& connection, std::string_view body) {
  return connection.send(make_request("POST", "/v1/chat/completions", {{"host", "x"}, key_field}, body));
}

inline bool is_chat(const upstream_request& req) {
  return req.method == "POST";
}

/// Returns a script that answers chats with `script`, and requests for the model list with an empty list.
inline upstream_script chats(upstream_script script) {
  return [script = std::move(script)](const upstream_request& req, upstream_reply& reply) {
    if (is_chat(req)) {
      script(req, reply);
    } else {
      reply.json(200, R"({"data":[]})");
    }
  };
}

/// Returns a script that sends `text` in chunks of `piece` bytes, and then the zero chunk.
inline upstream_script streams(std::string text, std::size_t piece) {
  return chats([text = std::move(text), piece](const auto&, auto& reply) {
    reply.sse_head();
    for (std::size_t at = 0; at < text.size(); at += piece) {
      if (!reply.chunk(std::string_view{text}.substr(at, piece))) return;
    }
    reply.end_chunks();
  });
}

/// Returns the chats that an upstream got.
inline std::vector<upstream_request> chats_of(const scripted_upstream& up) {
  auto all = up.requests();
  std::erase_if(all, [](const auto& req) { return !is_chat(req); });
  return all;
}

/// Polls until `holds()` is true, for conditions that nothing signals.
template <class Condition>
bool eventually(Condition holds, milliseconds timeout = milliseconds{5000}) {
  const auto deadline = test_clock::now() + timeout;
  while (!holds()) {
    if (test_clock::now() > deadline) return false;
    std::this_thread::sleep_for(milliseconds{1});
  }
  return true;
}

/// Waits until `count` chats have arrived, and returns the newest one.
inline upstream_request wait_for_chat(const scripted_upstream& up, std::size_t count = 1) {
  eventually([&] { return chats_of(up).size() >= count; });
  const auto all = chats_of(up);
  return all.empty() ? upstream_request{} : all.back();
}

/// A test opens it once, and scripts wait for that.
class gate {
 public:
  void open() {
    const std::lock_guard lock{mutex_};
    open_ = true;
    changed_.notify_all();
  }
  bool wait(milliseconds timeout = milliseconds{5000}) {
    std::unique_lock lock{mutex_};
    return changed_.wait_for(lock, timeout, [this] { return open_; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool open_ = false;
};

inline bool contains(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

/// Returns `data` as an event.
inline std::string event_of(const std::string& data) {
  return "data: " + data + "\n\n";
}

inline const std::string delta = R"({"choices":[{"index":0,"delta":{"content":"x"},"finish_reason":null}]})";
inline const std::string stop = R"({"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]})";

}  // namespace llm_proxy::test
