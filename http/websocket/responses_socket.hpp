// A client's WebSocket for OpenAI's Responses API: what a connection becomes when GET /v1/responses asks for
// it. Each response.create is served by a session of its own, as if it had come as POST /v1/responses, so
// keys, limits, models, retries and the log are those of any request.
//
//   client ──message──▶ websocket ──▶ response_lanes ──▶ websocket_response ──▶ session ──▶ upstream
//                                          ▲                    │
//   client ◀──messages── websocket ◀───────┴──────events────────┘
#pragma once

#include "http/downstream/exchange.hpp"
#include "http/loop/deadlines.hpp"
#include "http/websocket/response_lanes.hpp"
#include "http/websocket/websocket.hpp"
#include "http/websocket/websocket_response.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>

namespace llm_proxy {

struct responses_socket_options {
  websocket_limits socket;
  std::size_t memory;                  ///< bytes of items to continue from
  std::chrono::milliseconds lifetime;  ///< 0 = no limit
};

class responses_socket final : public upgraded_connection,
                               private websocket_events,
                               private lane_output,
                               private websocket_responses {
 public:
  /// `answer_headers` are those of the 101. `context` and `timers` belong to the thread and outlive it.
  responses_socket(std::shared_ptr<const request_head> asked, header_list answer_headers,
                   loop_context& context, deadlines& timers, const responses_socket_options& options);
  ~responses_socket() override;

  void begin(const std::shared_ptr<connection>& from, transport_socket& socket,
             std::string_view read_already) override;
  void drain() override;
  void force_end() override;
  void close() override;

 private:
  void on_message(std::string_view message, bool is_text) override;
  void on_sent() override;
  void on_closed(std::string_view why) override;

  void send(std::string&& message) override;
  void post(std::uint64_t number, std::string&& body) override;
  void note_too_large(std::size_t bytes) override;

  void on_event(std::uint64_t number, std::string_view data) override;
  void on_answer(std::uint64_t number, const response_head& head, std::string_view body) override;
  void on_end(std::uint64_t number) override;
  void on_out_of_memory() override;
  std::size_t backlog() const override { return socket_->backlog(); }
  std::string peer_address() const override { return socket_->peer_address(); }

  void for_each_response(void (websocket_response::*call)());
  void on_lifetime_over();
  void close_if_idle();

  std::shared_ptr<const request_head> asked_;
  std::shared_ptr<const request_head> inner_;  // the head of each response's request
  header_list answer_headers_;
  std::shared_ptr<connection> connection_;  // null once it is closed
  std::shared_ptr<websocket> socket_;
  response_lanes lanes_;
  std::map<std::uint64_t, std::shared_ptr<websocket_response>> responses_;
  deadline lifetime_;
  /// Why no response may begin any more.
  enum class ending : std::uint8_t { none, drained, lifetime };
  ending ending_ = ending::none;
  bool is_told_ = false;  // that a response was too large to be remembered
};

}  // namespace llm_proxy
