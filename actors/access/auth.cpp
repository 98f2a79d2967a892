#include "actors/access/auth.hpp"

#include <openssl/crypto.h>

#include <ctime>
#include <utility>

namespace llm_proxy {

namespace {

const failure refused{.code = errc::unauthorized};

}  // namespace

bool equal_in_constant_time(std::string_view given, std::string_view wanted) {
  // If the lengths differ, the wanted bytes are compared with themselves, so that the comparison takes as
  // long.
  const bool same_length = given.size() == wanted.size();
  const auto* bytes = same_length ? given.data() : wanted.data();
  return CRYPTO_memcmp(bytes, wanted.data(), wanted.size()) == 0 && same_length;
}

std::variant<principal, failure> auth_state::check(const request_head& head, std::int64_t now) const {
  constexpr std::string_view bearer = "bearer ";
  if (const auto given = head.headers.find("x-internal-auth")) {
    if (head.headers.count("x-internal-auth") != 1) return refused;
    return accept(*given, now);
  }
  std::variant<principal, failure> answer = refused;
  if (const auto given = head.headers.find("authorization")) {
    if (head.headers.count("authorization") == 1 && istarts_with(*given, bearer))
      answer = accept(trimmed(std::string_view{*given}.substr(bearer.size())), now);
  }
  if (std::holds_alternative<principal>(answer)) return answer;
  if (const auto given = head.headers.find("x-api-key")) {
    if (head.headers.count("x-api-key") == 1) return accept(*given, now);
  }
  return answer;
}

std::variant<principal, failure> auth_state::accept(std::string_view given, std::int64_t now) const {
  // If there is no keys file, nothing is hashed.
  const auto* entry = table->entries.empty() ? nullptr : table->find(given);
  const bool internal = !internal_key.empty() && equal_in_constant_time(given, internal_key);
  if (entry != nullptr && entry->expires && *entry->expires <= now) {
    return failure{.code = errc::unauthorized,
                   .message = "This key has expired.",
                   .detail = "key " + entry->rules->name + " has expired"};
  }
  if (entry == nullptr && !internal) return refused;
  const auto& rules = entry != nullptr ? entry->rules : table->internal;
  table->uses->note(rules->name, rules->last_use, now);
  return principal{rules->name, rules, internal};
}

auth_actor::behavior_type auth(pinned_pointer<auth_actor, auth_state> self, std::string internal_api_key,
                               key_table_ptr keys) {
  self->state.internal_key = std::move(internal_api_key);
  self->state.table = std::move(keys);
  return {
      [self](const authorize& request) -> caf::result<principal> {
        auto answer = self->state.check(*request.head, std::time(nullptr));
        if (auto* who = std::get_if<principal>(&answer)) return std::move(*who);
        return to_error(std::get<failure>(answer));
      },
      [self](keys_changed& news) { self->state.table = std::move(news.keys); },
  };
}

}  // namespace llm_proxy
