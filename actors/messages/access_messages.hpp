// Who may do what, and how much: what sessions ask of the auth and the admission actor.
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

/// May this request in? Credentials are read from the head.
struct authorize {
  std::shared_ptr<const request_head> head;
};
/// Who is asking, and what the name may do.
struct principal {
  std::string name;
  key_rules_ptr rules = nullptr;  ///< of the auth actor never null
  bool is_operator = false;       ///< came with INTERNAL_API_KEY: may see what concerns all keys
};
/// The keys that count from now on.
struct keys_changed {
  key_table_ptr keys;
};

// -- admission ---------------------------------------------------------------------

/// May this session's request be served now? `session` names it in leave_queue.
struct request_slot {
  std::uint64_t session;
  key_rules_ptr key;
  request_cost cost = request_cost::full;
};
/// A slot, free again when the last copy of it is gone, or why there is none and what the answer's headers
/// say of it.
struct slot_decision {
  std::shared_ptr<const void> slot;  ///< null: refused
  failure fault;
  header_list headers;
};
/// That session no longer waits. Unknown ones are ignored.
struct leave_queue {
  std::uint64_t session;
};
/// A slot of the key of that name came back.
struct slot_freed {
  std::string key;
};
/// What a request of that key cost.
struct tokens_spent {
  key_rules_ptr key;
  std::uint64_t tokens;
};

/// Other limits from now on; what has a slot keeps it.
struct limits_changed {
  admission_options limits;
};

//   authorize -> principal, or error unauthorized
using auth_actor =
    caf::typed_actor<caf::replies_to<authorize>::with<principal>, caf::reacts_to<keys_changed>>;

//   request_slot -> slot_decision, at once or when a slot is free or QUEUE_TIMEOUT is over
using admission_actor = caf::typed_actor<caf::replies_to<request_slot>::with<slot_decision>,
                                         caf::reacts_to<leave_queue>, caf::reacts_to<slot_freed>,
                                         caf::reacts_to<tokens_spent>, caf::reacts_to<limits_changed>>;

}  // namespace llm_proxy
