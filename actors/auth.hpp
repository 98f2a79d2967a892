// Answers whether a request may use the proxy. Spawned once per I/O thread by proxy.cpp; lives as long as the
// process.
#pragma once

#include "actors/messages.hpp"
#include "actors/pinned.hpp"

#include <optional>
#include <string>
#include <string_view>

namespace llm_proxy {

/// True if both are the same bytes. Takes the same time wherever they differ.
bool equal_in_constant_time(std::string_view given, std::string_view wanted);

struct auth_state {
  static inline const char* name = "auth";

  /// Reads the credential of a head: `x-internal-auth` alone if it is there, else `Authorization: Bearer` or
  /// `x-api-key`. nullopt: refused.
  std::optional<principal> check(const request_head& head) const;

  std::string key;
};

auth_actor::behavior_type auth(pinned_pointer<auth_actor, auth_state> self, std::string internal_api_key);

}  // namespace llm_proxy
