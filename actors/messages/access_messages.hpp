// What sessions ask the auth actor and the admission actor: who may do what, and how much.
#pragma once

#include "actors/messages/admission_options.hpp"
#include "http/keys/keys.hpp"
#include "http/wire/errc.hpp"
#include "http/wire/message.hpp"

#include <caf/replies_to.hpp>
#include <caf/typed_actor.hpp>

#include <cstdint>
#include <memory>
#include <string>

namespace llm_proxy {

/// Asks whether this request may use the service. Credentials are read from the head.
struct authorize {
  std::shared_ptr<const request_head> head;
};
/// Who sent the request, and what the key may do.
struct principal {
  std::string name;
  key_rules_ptr rules = nullptr;  ///< never null in an answer of the auth actor
  bool is_operator = false;       ///< came with INTERNAL_API_KEY, and may see the data of every key
};
/// From now on these keys are valid.
struct keys_changed {
  key_table_ptr keys;
};

// -- admission ---------------------------------------------------------------------

/// Asks whether this session's request may be served now. `session` names it again in leave_queue.
struct request_slot {
  std::uint64_t session;
  key_rules_ptr key;
  request_cost cost = request_cost::full;
};
/// A slot, which is free again when its last copy is gone; or why there is none, and the headers that say so
/// to the client.
struct slot_decision {
  std::shared_ptr<const void> slot;  ///< null if the request is refused
  failure fault;
  header_list headers;
};
/// That session no longer waits. Unknown sessions are ignored.
struct leave_queue {
  std::uint64_t session;
};
/// A slot of the key with that name came back.
struct slot_freed {
  std::string key;
};
/// A request of that key has cost this many tokens.
struct tokens_spent {
  key_rules_ptr key;
  std::uint64_t tokens;
};

/// From now on these limits apply. Requests that have a slot keep it.
struct limits_changed {
  admission_options limits;
};

using auth_actor = caf::typed_actor<
    // Returns the principal, or fails with unauthorized.
    caf::replies_to<authorize>::with<principal>,
    // Uses these keys from now on.
    caf::reacts_to<keys_changed>>;

using admission_actor = caf::typed_actor<
    // Returns a slot or a refusal: at once, when a slot comes free, or when QUEUE_TIMEOUT is over.
    caf::replies_to<request_slot>::with<slot_decision>,
    // Removes the session from its queue.
    caf::reacts_to<leave_queue>,
    // Gives the slot to the next session that waits.
    caf::reacts_to<slot_freed>,
    // Counts tokens against the key's tpm.
    caf::reacts_to<tokens_spent>,
    // Uses these limits from now on.
    caf::reacts_to<limits_changed>>;

}  // namespace llm_proxy
