// One response over a WebSocket, as a session sees it: a POST whose body has arrived, and an answer whose
// events become messages.
#pragma once

#include "http/dialect/sse.hpp"
#include "http/downstream/exchange.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace llm_proxy {

/// Has the answers of responses. The calls name the response by its number.
class websocket_responses {
 public:
  /// An event of a stream: its data.
  virtual void on_event(std::uint64_t number, std::string_view data) = 0;
  /// The whole answer, if it is no stream.
  virtual void on_answer(std::uint64_t number, const response_head& head, std::string_view body) = 0;
  /// The answer is over. Nothing follows, and the response may be destroyed.
  virtual void on_end(std::uint64_t number) = 0;
  /// There is no memory for the answer. Allocates nothing.
  virtual void on_out_of_memory() = 0;
  virtual std::size_t backlog() const = 0;
  virtual std::string peer_address() const = 0;

 protected:
  ~websocket_responses() = default;
};

class websocket_response final : public exchange {
 public:
  /// `owner` must outlive the response or call leave().
  websocket_response(std::uint64_t number, std::shared_ptr<const request_head> head, std::string body,
                     websocket_responses& owner)
      : owner_{&owner}, head_{std::move(head)}, body_{std::move(body)}, number_{number} {}

  // What the owner tells.
  void leave();
  void note_sent();
  void force_end();

  const std::shared_ptr<const request_head>& head() const override { return head_; }
  const failure& head_fault() const override;
  void forget_headers() override;
  void attach(exchange_events* events) override { events_ = events; }
  std::string peer_address() const override;
  void read_body(std::size_t limit) override;
  void restart_body_time() override {}
  void stream_body(std::size_t limit, std::size_t window) override;
  void take_more(std::size_t /*bytes*/) override {}

  void start_answer(const response_head& head, body_framing framing, std::uint64_t length,
                    bool close) override;
  void write(std::string_view bytes) override;
  void write_constant(std::string_view bytes) override { write(bytes); }
  void end_answer() override { end(); }
  void break_answer() override { end(); }
  void upgrade(std::shared_ptr<upgraded_connection> /*next*/) override { end(); }

  bool answer_started() const override { return is_started_; }
  std::size_t backlog() const override;
  std::size_t unacknowledged() const override { return 0; }
  std::uint64_t body_bytes_written() const override { return written_; }
  bool closed() const override { return owner_ == nullptr; }
  void end_without_memory() override;

 private:
  void end();

  websocket_responses* owner_;  // null once the answer has ended, or the client has left
  exchange_events* events_ = nullptr;
  std::shared_ptr<const request_head> head_;
  std::string body_;
  response_head answer_;
  sse_decoder events_of_answer_;
  std::string whole_answer_;
  std::uint64_t number_;
  std::uint64_t written_ = 0;
  bool is_started_ = false;
  bool is_stream_ = false;
};

}  // namespace llm_proxy
