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

/// Returns whether both texts are equal. It takes the same time wherever they differ, so that a key cannot be
/// guessed byte by byte.
bool equal_in_constant_time(std::string_view given, std::string_view wanted);

struct auth_state {
  static inline const char* name = "auth";

  /// Checks the credential of a request. If there is a header `x-internal-auth`, it alone counts; otherwise
  /// `Authorization: Bearer` and then `x-api-key` are tried. `now` is in seconds since 1970.
  std::variant<principal, failure> check(const request_head& head, std::int64_t now) const;

  std::string internal_key;  ///< empty if only the keys of the table count
  key_table_ptr table;       ///< never null

 private:
  std::variant<principal, failure> accept(std::string_view given, std::int64_t now) const;
};

auth_actor::behavior_type auth(pinned_pointer<auth_actor, auth_state> self, std::string internal_api_key,
                               key_table_ptr keys);

}  // namespace llm_proxy
