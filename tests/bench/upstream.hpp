// An OpenAI-like server that needs little CPU time.
#pragma once

#include "timer_wheel.hpp"
#include "upstream_connection.hpp"
#include "wire.hpp"

#include <array>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace bench {

struct options {
  std::string host = "127.0.0.1";
  uint16_t port = 0;
  uint64_t events = 10;
  uint64_t delay_ms = 0;
  uint64_t batch = 1;
  uint64_t tick_us = 100;
  uint64_t fault_every = 0;  // every n-th chat request gets the fault `broken`
  fault broken = fault::none;
};

struct stats {
  uint64_t accepted = 0, closed = 0, requests = 0, bad_requests = 0, answers = 0;
  uint64_t streams_started = 0, streams_done = 0, streams_left = 0;  // left: the peer closed first
  uint64_t events = 0, sends = 0, behind = 0;  // behind: events sent more than 10 ms too late
};

/// Returns `none` if there is no fault of that name.
fault fault_named(std::string_view name);

/// A signal sets it, and then run() returns.
inline volatile std::sig_atomic_t stopped = 0;

class upstream {
 public:
  explicit upstream(const options& o) : options_(o), wheel_(o.tick_us * 1000) {}

  bool listen();
  void run();
  uint16_t port() const { return port_; }
  std::string stats_json() const;

 private:
  void accept_all();
  void close(connection& c);
  void on_readable(connection& c);
  void handle_input(connection& c);
  bool take_request(connection& c);
  void chat(connection& c, std::string_view body);
  void answer(connection& c, std::string_view status, std::string_view type, std::string_view body);
  void answer_chat(connection& c);
  void start_stream(connection& c);
  void send_due(connection& c, uint64_t now);
  void send_unpaced(connection& c);
  void append_event(connection& c, std::string& to);
  bool flush(connection& c, std::string& bytes);
  void watch_output(connection& c, bool on);
  void finish(connection& c);
  const event_texts& texts(size_t bytes);

  options options_;
  timer_wheel wheel_;
  stats stats_;
  int listener_ = -1;
  int epoll_ = -1;
  uint16_t port_ = 0;
  uint64_t random_ = 88172645463325252;
  uint64_t chats_ = 0;
  std::vector<std::unique_ptr<connection>> connections_;  // by descriptor
  std::vector<std::unique_ptr<connection>> closed_;       // freed at the end of the turn
  std::vector<connection*> ready_;                        // unpaced streams whose turn was used up
  std::map<size_t, event_texts> texts_;
  std::string scratch_;
  std::array<char, 65536> buffer_{};
};

}  // namespace bench
