// Decides whether a request may use the service, by its key. There is one per I/O thread; proxy.cpp spawns
// it, and it lives as long as the process.
#pragma once

#include "actors/messages/messages.hpp"
#include "actors/runtime/pinned.hpp"

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>

namespace llm_proxy {

/// Whether both texts are equal. Takes the same time wherever they differ, so that a key cannot be guessed
/// byte by byte.
bool equal_in_constant_time(std::string_view given, std::string_view wanted);

struct auth_state {
  static inline const char* name = "auth";

  /// Reads the credential of a head: `x-internal-auth` alone if it is there, else `Authorization: Bearer` or
  /// `x-api-key`. `now` in seconds since 1970.
  std::variant<principal, failure> check(const request_head& head, std::int64_t now) const;

  std::string internal_key;  ///< empty if only the keys of the table count
  key_table_ptr table;       ///< never null

 private:
  std::variant<principal, failure> accept(std::string_view given, std::int64_t now) const;
};

auth_actor::behavior_type auth(pinned_pointer<auth_actor, auth_state> self, std::string internal_api_key,
                               key_table_ptr keys);

}  // namespace llm_proxy
