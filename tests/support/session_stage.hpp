// One session on an actor_stage. Its peers are scripted, and its client is a real socket of the same thread.
#pragma once

#include "actors/access/admission.hpp"
#include "actors/session/session.hpp"
#include "http/downstream/connection.hpp"
#include "support/actor_stage.hpp"

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/write.hpp>

#include <array>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace llm_proxy::test {

/// What a peer does with a request.
enum class manner : std::uint8_t { answers, refuses, keeps_silent };

/// An adapter that records its messages. The test sends its answers.
struct recording_adapter {
  std::vector<open_stream> opened;
  std::vector<caf::typed_response_promise<stream_head>> heads;
  std::vector<std::uint64_t> cancelled;
  std::vector<body_part> parts;
  std::size_t granted = 0;
};

class session_stage final : public connection_owner {
 public:
  using tcp = boost::asio::ip::tcp;

  session_stage() : listener_{stage.io(), tcp::endpoint{boost::asio::ip::address_v4::loopback(), 0}} {
    auth = stage.scripted<auth_actor>([this](auth_actor::pointer self) {
      return auth_actor::behavior_type{
          [this, self](const authorize&) {
            return said<principal>(self, auth_manner, errc::unauthorized, principal{rules->name, rules});
          },
          [](const keys_changed&) {}};
    });
    registry = stage.scripted<registry_actor>([this](registry_actor::pointer self) {
      return registry_actor::behavior_type{
          [this, self](const resolve_model& asked) {
            return said<resolved_model>(self, registry_manner, errc::internal, resolved_model{asked.name});
          },
          [this, self](get_models) {
            return said<models>(self, registry_manner, errc::upstream_timeout,
                                models{std::make_shared<const std::vector<model_entry>>()});
          },
          [](const models_changed&) {},
          [](refresh_due) {},
          [](const registry_peers&) {},
          [](const names_changed&) {}};
    });
    adapter = stage.scripted<adapter_actor>([this](adapter_actor::pointer self) {
      return adapter_actor::behavior_type{
          [this, self](const open_stream& order) -> caf::result<stream_head> {
            record.opened.push_back(order);
            record.heads.push_back(self->make_response_promise<stream_head>());
            return record.heads.back();
          },
          [this](const body_part& part) { record.parts.push_back(part); },
          [this](const grant_credit& grant) { record.granted += grant.bytes; },
          [this](const cancel_stream& cancel) { record.cancelled.push_back(cancel.stream); },
          [](get_models) -> caf::result<models> { return models{}; }};
    });
    pool = stage.scripted<pool_actor>([this](pool_actor::pointer self) {
      return pool_actor::behavior_type{
          [this, self](const lease_adapter&) {
            std::shared_ptr<const void> slot{&leased, [this](const void*) { --leased; }};
            ++leased;
            return said<adapter_lease>(self, pool_manner, errc::overloaded, adapter_lease{adapter, slot});
          },
          [](const pool_peers&) {}};
    });
    context = std::make_shared<session_context>();
    context->options.version = "test";
    context->options.max_body_bytes = 1 << 20;
    context->home = &stage.home();
    context->auth = auth;
    context->registry = registry;
    context->pool = pool;
    context->in_flight = std::make_shared<std::atomic<std::size_t>>(0);
  }

  /// Uses a real admission actor, so that every request needs a slot.
  void limit(admission_options options) {
    context->options.limits_all = true;
    context->admission =
        stage.cast(spawn_on(stage.system(), stage.home(), admission, &stage.home(), options, gauges));
  }

  /// Takes a slot for another request, until `occupied` is reset.
  void occupy() {
    const auto answer = stage.ask<slot_decision>(context->admission, request_slot{~std::uint64_t{0}, rules});
    REQUIRE(answer->value);
    occupied = answer->value->slot;
    REQUIRE(occupied);
  }

  ~session_stage() {
    const auto all = std::exchange(connections, {});
    for (const auto& each : all) each->close();
    stage.poll();
  }

  /// Connects and sends `request`.
  void begin(std::string_view request) {
    client.emplace(stage.io());
    client->connect(listener_.local_endpoint());
    client->non_blocking(true);
    owned_descriptor accepted{listener_.accept().release()};
    connections.push_back(std::make_shared<connection>(std::move(accepted), stage.home().sockets(),
                                                       stage.home().writes(), stage.home().timers(), timeouts,
                                                       *this));
    connections.back()->start();
    send(request);
  }
  void send(std::string_view bytes) {
    boost::asio::write(*client, boost::asio::buffer(bytes.data(), bytes.size()));
    settle();
  }
  /// Bytes between two sockets of one machine arrive immediately, but not in the same turn.
  void settle() {
    for (int i = 0; i < 3; ++i) stage.poll();
  }
  /// Reads the bytes that have arrived, and returns all bytes so far.
  const std::string& received() {
    settle();
    std::array<char, 64 * 1024> block{};
    boost::system::error_code ec;
    for (;;) {
      const auto n = client->read_some(boost::asio::buffer(block), ec);
      if (ec) break;
      received_.append(block.data(), n);
      settle();
    }
    ended = ec == boost::asio::error::eof || ec == boost::asio::error::connection_reset;
    return received_;
  }
  bool has(std::string_view text) { return received().find(text) != std::string::npos; }
  void leave() {
    client->close();
    settle();
  }

  // -- the adapter's part
  void head(unsigned status, std::string_view type, std::string data = {}, bool done = false) {
    header_list headers;
    headers.add("content-type", type);
    record.heads.back().deliver(stream_head{{status, std::move(headers)}, {}, std::move(data), done});
    settle();
  }
  template <class Message>
  void say(Message message) {
    stage.tell(record.opened.back().sink, std::move(message));
    settle();
  }

  /// Checks that nothing of the request is left: no slot, no place in the count, no actor.
  void check_over() {
    settle();
    CHECK(leased == 0);
    CHECK(context->in_flight->load() == 0);
    CHECK(gauges->slots.load() == 0);
    CHECK(gauges->waiting.load() == 0);
    CHECK(alive == 0);
  }

  void on_request(const std::shared_ptr<exchange>& from) override {
    const auto spawned = spawn_on(stage.system(), stage.home(), behavior_of,
                                  std::shared_ptr<const session_context>{context}, from);
    const auto known = caf::actor_cast<caf::strong_actor_ptr>(spawned);
    sessions.push_back(caf::actor_cast<caf::weak_actor_ptr>(known));
    ++alive;
    known->get()->attach_functor([this] { --alive; });
  }
  void on_closed(const std::shared_ptr<connection>&) override { ++closed; }

  /// The behavior with which sessions are spawned.
  session_actor::behavior_type (*behavior_of)(session_state::self_pointer,
                                              std::shared_ptr<const session_context>,
                                              std::shared_ptr<exchange>) = session;
  actor_stage stage;
  auth_actor auth;
  registry_actor registry;
  pool_actor pool;
  adapter_actor adapter;
  manner auth_manner = manner::answers;
  manner registry_manner = manner::answers;
  manner pool_manner = manner::answers;
  recording_adapter record;
  std::shared_ptr<session_context> context;
  key_rules_ptr rules = make_key_table({})->internal;  // the rules of the key that every client has
  std::shared_ptr<const void> occupied;
  std::shared_ptr<admission_gauges> gauges = std::make_shared<admission_gauges>();
  connection_timeouts timeouts{std::chrono::seconds{10}, std::chrono::seconds{60}, std::chrono::seconds{60},
                               std::chrono::seconds{75}};
  std::optional<tcp::socket> client;
  std::vector<std::shared_ptr<connection>> connections;
  std::vector<caf::weak_actor_ptr> sessions;
  int alive = 0;  // sessions that have not ended
  int leased = 0;
  int closed = 0;
  bool ended = false;  // received() found the connection's end

 private:
  template <class Answer, class Self>
  caf::result<Answer> said(Self self, manner how, errc refusal, Answer answer) {
    if (how == manner::refuses) return to_error({refusal, {}, {}, {}});
    if (how == manner::answers) return answer;
    promises_.push_back(std::make_shared<caf::typed_response_promise<Answer>>(
        self->template make_response_promise<Answer>()));
    return *std::static_pointer_cast<caf::typed_response_promise<Answer>>(promises_.back());
  }

  tcp::acceptor listener_;
  std::vector<std::shared_ptr<void>> promises_;  // the open promises of silent peers
  std::string received_;
};

inline std::string chat_request_bytes(std::string_view body) {
  return "POST /v1/chat/completions HTTP/1.1\r\nhost: h\r\nx-internal-auth: k\r\ncontent-type: "
         "application/json\r\ncontent-length: " +
         std::to_string(body.size()) + "\r\n\r\n" + std::string{body};
}

inline const std::string plain_chat = chat_request_bytes(R"({"model":"m","messages":[]})");
inline const std::string streamed_chat = chat_request_bytes(R"({"model":"m","messages":[],"stream":true})");
inline const std::string chat_head = plain_chat.substr(0, plain_chat.size() - 5);  // its body is incomplete

inline const std::string delta_event =
    "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Hi\"}}]}\n\n";
inline const std::string end_events =
    "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n";

}  // namespace llm_proxy::test
