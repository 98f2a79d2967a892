#include "actors/auth.hpp"

#include <openssl/crypto.h>

#include <utility>

namespace llm_proxy {

bool equal_in_constant_time(std::string_view given, std::string_view wanted) {
  // With another length the wanted bytes are compared with themselves, so that it takes no less time.
  const bool same_length = given.size() == wanted.size();
  const auto* bytes = same_length ? given.data() : wanted.data();
  return CRYPTO_memcmp(bytes, wanted.data(), wanted.size()) == 0 && same_length;
}

std::optional<principal> auth_state::check(const request_head& head) const {
  constexpr std::string_view bearer = "bearer ";
  const auto accepted = [this](std::string_view given) { return equal_in_constant_time(given, key); };
  const principal known{"default"};
  if (const auto given = head.headers.find("x-internal-auth")) {
    if (head.headers.count("x-internal-auth") == 1 && accepted(*given)) return known;
    return std::nullopt;
  }
  if (const auto given = head.headers.find("authorization")) {
    const bool is_bearer = istarts_with(*given, bearer);
    if (head.headers.count("authorization") == 1 && is_bearer &&
        accepted(trimmed(std::string_view{*given}.substr(bearer.size())))) {
      return known;
    }
  }
  if (const auto given = head.headers.find("x-api-key")) {
    if (head.headers.count("x-api-key") == 1 && accepted(*given)) return known;
  }
  return std::nullopt;
}

auth_actor::behavior_type auth(pinned_pointer<auth_actor, auth_state> self, std::string internal_api_key) {
  self->state.key = std::move(internal_api_key);
  return {
      [self](const authorize& request) -> caf::result<principal> {
        if (auto who = self->state.check(*request.head)) return std::move(*who);
        return to_error({errc::unauthorized, {}, {}, {}});
      },
  };
}

}  // namespace llm_proxy
