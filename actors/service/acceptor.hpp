// Owns the client connections of its thread and spawns a session for each of their requests. There is one per
// I/O thread; proxy.cpp spawns it, and it lives as long as the process. The first one listens, and hands each
// new socket to the thread that has the fewest. When connections or descriptors run short while a client
// waits, idle connections are closed to make room (acceptor_room.cpp).
#pragma once

#include "actors/messages/messages.hpp"
#include "actors/runtime/pinned.hpp"
#include "actors/service/idle_connections.hpp"
#include "actors/session/session_context.hpp"
#include "http/downstream/connection.hpp"
#include "http/downstream/listening_socket.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <unordered_set>
#include <utility>
#include <vector>

namespace llm_proxy {

struct acceptor_options {
  connection_timeouts timeouts;
  std::shared_ptr<const session_context> context;
  std::shared_ptr<connection_counts> counts;
  std::size_t max_connections;  ///< over all threads
  server_tls tls;               ///< null if connections are not encrypted
};

class acceptor_state : public connection_owner, private watcher {
 public:
  using self_pointer = pinned_pointer<acceptor_actor, acceptor_state>;

  static inline const char* name = "acceptor";

  acceptor_state() = default;
  /// Closes all connections. Their sessions end as if the clients had left.
  virtual ~acceptor_state();

  void begin(self_pointer self, io_worker* home, acceptor_options options);
  /// Listens, and hands sockets to `all`: the acceptors in the order of their threads, this one included.
  void listen(start_listening& order);
  caf::result<listening_stopped> stop();
  /// Takes over a connection that is counted as this thread's.
  void adopt(owned_descriptor socket);
  void use_tls(server_tls tls) { options_.tls = std::move(tls); }
  /// New sessions work with these.
  void use(const shared_actors& those);
  void use(session_rules_changed& rules);
  caf::result<drained> begin_drain();
  void force();
  room_made close_longest_idle(const make_room& order);

 private:
  void on_request(const std::shared_ptr<exchange>& from) override;
  void on_closed(const std::shared_ptr<connection>& which) override;
  void on_handshake_failed(const std::string& why) override;
  void on_idle(connection& which) override { idle_.add(which); }

  void on_ready(readiness now) override;

  void take_in(owned_descriptor socket);
  void accept_next();
  void accept();
  void accept_waiting();
  bool accept_one();
  void deal(owned_descriptor socket);
  void close_listener();
  void check_drained();

  // acceptor_room.cpp
  /// What prevents the next connection. Whether `unknown` still applies is found out only by accepting.
  enum class shortage : std::uint8_t { none, connections, descriptors, unknown };
  struct room_search;
  bool is_full() const;
  shortage lacks() const;
  std::string words_for(shortage lack) const;
  void await_room(shortage lack);
  void await_newcomer();
  void on_newcomer();
  void make_room_for(shortage lack);
  void ask_for_room(const std::shared_ptr<room_search>& search);
  void note_eviction(shortage lack);
  void pause(shortage lack, const std::string& why);
  void note_room();
  void accept_again();

  self_pointer self_ = nullptr;
  io_worker* home_ = nullptr;
  acceptor_options options_;
  std::unordered_set<std::shared_ptr<connection>> connections_;
  idle_connections idle_;
  std::vector<acceptor_actor> all_;
  listening_socket listener_;
  /// What is done when a client comes.
  enum class next_client : std::uint8_t { ignored, accepted, needs_room };
  next_client next_client_ = next_client::ignored;
  bool shared_ = false;                // whether another process may listen on the same socket
  std::optional<deadline> pause_;      // before the next try to accept, while there is no room
  std::optional<deadline> last_call_;  // before the listener is closed
  shortage paused_for_ = shortage::none;
  unsigned quiet_pauses_ = 0;    // consecutive pauses in which no client waited
  std::uint64_t evictions_ = 0;  // since the last log line about them
  std::optional<steady_clock::time_point> evictions_told_;
  std::vector<caf::typed_response_promise<listening_stopped>> stopping_;
  std::vector<caf::typed_response_promise<drained>> waiting_;
  bool draining_ = false;
};

acceptor_actor::behavior_type acceptor(acceptor_state::self_pointer self, io_worker* home,
                                       acceptor_options options);

}  // namespace llm_proxy
