// What the members of a JSON request must be, one table per endpoint. There is a rule only where the proxy
// relies on a member, or where no upstream could understand a wrong value. Everything else passes.
#pragma once

#include "http/json/json_scanner.hpp"

#include <cstdint>
#include <span>
#include <string_view>

namespace llm_proxy {

using json_kinds = std::uint32_t;  // a set of JSON kinds, each as the bit of the token that begins it

constexpr json_kinds json_kind(json_token token) {
  return json_kinds{1} << static_cast<unsigned>(token);
}

struct member_rule {
  std::string_view name;
  json_kinds allowed;
  std::string_view wanted;  // what it must be, in words for people; empty if any value is allowed
};

/// The rules of one endpoint, in the order in which faults are reported.
struct body_rules {
  /// The places of the first members, which are the same in every table.
  enum member : std::size_t { model, messages, stream, stream_options };
  static constexpr std::size_t largest = 20;

  std::span<const member_rule> members;
  bool checks_messages = false;  // also check each element of `messages`
};

/// Returns the rules for each element of `messages`.
std::span<const member_rule> message_rules();

/// Stands for the kind of a member that is absent.
inline constexpr json_kinds absent_member = json_kind(json_token::more);

extern const body_rules chat_rules;
extern const body_rules completion_rules;
extern const body_rules embedding_rules;
extern const body_rules moderation_rules;
extern const body_rules rerank_rules;
extern const body_rules image_rules;
extern const body_rules speech_rules;
extern const body_rules ocr_rules;
extern const body_rules response_rules;
extern const body_rules anthropic_rules;
/// Any JSON object.
extern const body_rules object_rules;

}  // namespace llm_proxy
