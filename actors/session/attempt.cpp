#include "actors/session/attempt.hpp"

#include "http/text/text.hpp"
#include "http/wire/field_lists.hpp"

#include <algorithm>

namespace llm_proxy {

namespace {

/// An answer up to this size is held until it is complete. A longer one is passed on as it comes.
constexpr std::size_t most_held = 4 * 1024 * 1024;
/// Credit is granted in portions of at least this size, so that a typical stream needs no message for it.
constexpr std::size_t grant_portion = 16 * 1024;

}  // namespace

answer_plan attempt::take_head(response_head&& upstream_head, const answer_terms& terms) {
  head = std::move(upstream_head);
  const auto plan = plan_answer(head, terms);
  if (plan == answer_plan::stream) {
    is_judged = !is_encoded(head.headers);
    is_event_stream = true;
  } else if (plan == answer_plan::pass) {
    is_judged = false;
  }
  return plan;
}

std::optional<std::uint64_t> attempt::known_length() const {
  const auto text = head.headers.find("content-length");
  if (!text || head.headers.find("transfer-encoding")) return std::nullopt;
  return parse_number<std::uint64_t>(*text);
}

attempt::piece attempt::take_events(std::string_view& bytes) {
  piece taken;
  taken.bytes = judge.feed(bytes);
  taken.error = judge.take_error();
  taken.is_first = !taken.error.empty() && judge.events() == 1;
  bytes = bytes.substr(bytes.size() - judge.unread());
  return taken;
}

bool attempt::hold(std::string&& bytes) {
  if (held.empty())
    held = std::move(bytes);
  else
    held += bytes;
  return held.size() <= most_held;
}

std::size_t attempt::take_credit(std::size_t backlog) {
  if (!is_open) return 0;
  const auto kept = backlog + judge.held();
  const auto free = ungranted_ - std::min(ungranted_, kept);
  if (free < grant_portion) return 0;
  ungranted_ -= free;
  return free;
}

}  // namespace llm_proxy
