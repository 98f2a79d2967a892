// A new way in as docs/extend.md shows it: the lines between the two marks are copied into that page.
// recipe: begin
#include "actors/access/auth.hpp"
#include "actors/service/proxy.hpp"
#include "actors/service/supervisor.hpp"

#include <openssl/hmac.h>

#include <charconv>
#include <ctime>

namespace llm_proxy {

/// HMAC-SHA-256 in lower-case hex.
std::string signature_of(std::string_view text, std::string_view secret) {
  std::array<unsigned char, 32> digest{};
  HMAC(EVP_sha256(), secret.data(), static_cast<int>(secret.size()),
       reinterpret_cast<const unsigned char*>(text.data()), text.size(), digest.data(), nullptr);
  std::string hex;
  for (const auto byte : digest) {
    hex += "0123456789abcdef"[byte >> 4];
    hex += "0123456789abcdef"[byte & 15];
  }
  return hex;
}

/// Accepts requests with the header `x-ticket: NAME.EXPIRY.SIGNATURE`, which another service makes with the
/// same secret. All other requests need one of the usual keys. EXPIRY is in seconds since 1970.
struct ticket_state {
  static inline const char* name = "ticket";

  /// The usual auth actor ends with this one.
  ~ticket_state() { caf::anon_send_exit(usual, caf::exit_reason::user_shutdown); }

  /// Returns the ticket's name, or nullopt if the ticket is not valid at `now`.
  std::optional<std::string> holder(std::string_view ticket, std::int64_t now) const {
    const auto second = ticket.rfind('.');
    const auto first = second == std::string_view::npos ? second : ticket.rfind('.', second - 1);
    if (first == std::string_view::npos || first == 0) return std::nullopt;
    const auto signed_part = ticket.substr(0, second);
    if (!equal_in_constant_time(ticket.substr(second + 1), signature_of(signed_part, secret)))
      return std::nullopt;
    std::int64_t expiry = 0;
    std::from_chars(ticket.data() + first + 1, ticket.data() + second, expiry);
    if (expiry <= now) return std::nullopt;
    return std::string{ticket.substr(0, first)};
  }

  auth_actor usual;
  std::string secret;
};

auth_actor::behavior_type ticket_auth(pinned_pointer<auth_actor, ticket_state> self, auth_actor usual,
                                      std::string secret) {
  self->state.usual = std::move(usual);
  self->state.secret = std::move(secret);
  return {
      [self](authorize& request) -> caf::result<principal> {
        const auto& headers = request.head->headers;
        const auto ticket = headers.find("x-ticket");
        if (!ticket) return self->delegate(self->state.usual, std::move(request));
        auto holder = self->state.holder(*ticket, std::time(nullptr));
        if (!holder || headers.count("x-ticket") != 1)
          return to_error({.code = errc::unauthorized, .message = "This ticket is not valid."});
        auto rules = std::make_shared<key_rules>();
        rules->name = *holder;
        rules->max_concurrent = 20;
        return principal{std::move(*holder), std::move(rules)};
      },
      [self](keys_changed& news) { self->send(self->state.usual, std::move(news)); },
  };
}

/// Puts it in front of the auth actor of every thread.
factory_editor use_tickets(std::string secret) {
  return [secret](caf::actor_system& system, actor_factories& made) {
    for (auto& thread : made.threads) {
      thread.auth = [&system, home = thread.home, usual = thread.auth, secret] {
        return spawn_on(system, *home, ticket_auth, usual(), secret);
      };
    }
  };
}

}  // namespace llm_proxy
// recipe: end

#include "support/catch.hpp"
#include "support/upstream_chat.hpp"

namespace llm_proxy::test {

namespace {

std::string ticket_for(const std::string& name, std::int64_t expiry) {
  const auto text = name + "." + std::to_string(expiry);
  return text + "." + signature_of(text, "a secret");
}

}  // namespace

TEST_CASE("extension: a way in of one's own lets in by it, and the usual keys as before",
          "[service][extend]") {
  scripted_upstream up{chats([](const auto&, auto& reply) { reply.json(200, R"({"choices":[]})"); })};
  proxy service{litellm_settings(up.url()), {}, {}, use_tickets("a secret")};
  const auto ask = [&](const header_list& headers) {
    return request(service.port(), "POST", "/v1/chat/completions", headers, chat_body("m"));
  };
  const auto soon = std::time(nullptr) + 60;
  const auto good = ticket_for("team.a", soon);
  CHECK(ask({{"x-ticket", good}}).status == 200);
  CHECK(ask({key_field}).status == 200);
  CHECK(ask({}).status == 401);
  // Its limits are kept and nothing of it goes upstream.
  const auto sent = chats_of(up);
  REQUIRE(sent.size() == 2);
  CHECK_FALSE(contains(sent[0].head, good));
  for (const auto& bad :
       {ticket_for("team.a", std::time(nullptr) - 1), good + "0", "x" + good, std::string{"."},
        std::string{".."}, std::string{}, "team.b." + std::to_string(soon) + good.substr(good.rfind('.'))}) {
    INFO(bad);
    CHECK(ask({{"x-ticket", bad}}).status == 401);
    CHECK(ask({{"x-ticket", bad}, key_field}).status == 401);
  }
  CHECK(ask({{"x-ticket", good}, {"x-ticket", good}}).status == 401);
}

TEST_CASE("extension: the name of a ticket is the one that is counted and limited", "[service][extend]") {
  scripted_upstream up{chats([](const auto&, auto& reply) { reply.json(200, R"({"choices":[]})"); })};
  proxy service{litellm_settings(up.url()), {}, {}, use_tickets("a secret")};
  const auto ticket = ticket_for("team-a", std::time(nullptr) + 60);
  CHECK(request(service.port(), "POST", "/v1/chat/completions", {{"x-ticket", ticket}}, chat_body("m"))
            .status == 200);
  CHECK(contains(get(service, "/metrics").body, R"(key="team-a")"));
}

}  // namespace llm_proxy::test
