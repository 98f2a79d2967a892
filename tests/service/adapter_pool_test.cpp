// The adapter pool in the whole service: its limits, the use of other threads' adapters, and adapters that
// die.
#include "actors/service/service_parts.hpp"
#include "support/catch.hpp"
#include "support/upstream_chat.hpp"

#include <caf/scoped_actor.hpp>

#include <string>
#include <thread>
#include <vector>

namespace llm_proxy::test {

namespace {

using namespace std::chrono_literals;

upstream_script hangs() {
  return chats([](const upstream_request& req, upstream_reply& reply) {
    if (req.text("model") == "quick") {
      reply.json(200, R"({"ok":true})");
      return;
    }
    if (req.is_true("stream")) {
      reply.sse_head();
      reply.event(delta);
    }
    reply.hang();
  });
}

/// Kills every adapter of every thread.
void kill_adapters(proxy& service) {
  caf::scoped_actor self{*service.parts().system};
  for (const auto& each : service.shared()) {
    self->request(each.pool, caf::infinite, lease_adapter{})
        .receive(
            [](const adapter_lease& lease) { caf::anon_send_exit(lease.adapter, caf::exit_reason::kill); },
            [](const caf::error&) { FAIL("no lease"); });
  }
}

}  // namespace

TEST_CASE("pool: ADAPTER_MAX_CONCURRENT limits the requests at upstream, and requests over it get a 503",
          "[service][upstream][pool]") {
  scripted_upstream up{hangs()};
  auto values = litellm_settings(up.url());
  values.threads = 2;
  values.adapter_pool_size = 2;
  values.adapter_max_concurrent = 2;
  proxy service{values};
  std::vector<raw_connection> clients;
  for (int i = 0; i < 4; ++i) {
    clients.emplace_back(service.port());
    REQUIRE(send_chat(clients.back(), chat_body("m", true)));
    REQUIRE(clients.back().read_until(delta, 5s).end == read_end::done);
  }
  const auto refused = chat(service, chat_body("quick"));
  CHECK(refused.status == 503);
  CHECK(contains(refused.body, R"("code":"overloaded")"));
  CHECK(refused.has("retry-after"));
  CHECK(chats_of(up).size() == 4);
  // When a client leaves, its place is free again.
  clients.pop_back();
  CHECK(eventually([&] { return chat(service, chat_body("quick")).status == 200; }));
}

TEST_CASE("pool: an adapter of another thread is used before a request is refused",
          "[service][upstream][pool]") {
  scripted_upstream up{hangs()};
  auto values = litellm_settings(up.url());
  values.threads = 2;
  values.adapter_pool_size = 2;
  values.adapter_max_concurrent = 1;
  proxy service{values};
  // Of four connections at least two are on the same thread, and any two must be able to stream at the same
  // time.
  for (int a = 0; a < 4; ++a) {
    for (int b = a + 1; b < 4; ++b) {
      REQUIRE(eventually([&] { return service.in_flight() == 0; }));
      std::vector<raw_connection> clients;
      for (int i = 0; i < 4; ++i) clients.emplace_back(service.port());
      for (const int each : {a, b}) {
        auto& client = clients[static_cast<std::size_t>(each)];
        REQUIRE(send_chat(client, chat_body("m", true)));
        CHECK(client.read_until(delta, 5s).end == read_end::done);
      }
      CHECK(chat(service, chat_body("quick")).status == 503);
    }
  }
}

TEST_CASE("pool: an adapter that dies is replaced, and its requests get an error",
          "[service][upstream][pool]") {
  scripted_upstream up{hangs()};
  proxy service{litellm_settings(up.url())};
  for (int round = 0; round < 2; ++round) {
    up.clear_requests();
    raw_connection streaming{service.port()};
    REQUIRE(send_chat(streaming, chat_body("m", true)));
    REQUIRE(streaming.read_until(delta, 5s).end == read_end::done);
    raw_connection waiting{service.port()};
    REQUIRE(send_chat(waiting, chat_body("m")));
    REQUIRE(eventually([&] { return chats_of(up).size() == 2; }));
    kill_adapters(service);
    const auto plain = read_response(waiting, 5s);
    CHECK(plain.status == 500);
    CHECK(contains(plain.body, R"("code":"internal")"));
    const auto rest = streaming.read_to_end(5s);
    CHECK(rest.end == read_end::eof);
    CHECK(contains(rest.bytes, R"("code":"internal"}})"));
    CHECK_FALSE(contains(rest.bytes, "[DONE]"));
    for (const auto& req : chats_of(up)) CHECK(up.closing_of(req.connection, 2s));
    for (int i = 0; i < 4; ++i) CHECK(chat(service, chat_body("quick")).status == 200);
    CHECK(eventually([&] { return service.in_flight() == 0; }));
  }
}

}  // namespace llm_proxy::test
