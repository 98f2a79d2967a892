#include "actors/access/admission.hpp"

#include <utility>

namespace llm_proxy {

admission_state::~admission_state() {
  // When an actor dies, CAF answers the requests in its mailbox with an error, but not those whose promises
  // it still holds.
  for (auto& [who, answer] : waiting)
    answer.deliver(to_error({.code = errc::internal, .detail = "the admission actor died"}));
}

void admission_state::begin(self_pointer me, io_worker* worker, admission_options options,
                            std::shared_ptr<admission_gauges> shown) {
  self = me;
  home = worker;
  book = admission_book{options};
  gauges = std::move(shown);
  expiry.emplace(home->timers(), [this] { enter(self, [this] { settle(); }); });
}

slot_decision admission_state::grant(const key_rules_ptr& rules) {
  // The last copy may be destroyed on any thread: in a message that nobody received, or with a session that
  // was killed.
  std::shared_ptr<const void> slot{this, [to = admission_actor{self}, name = rules->name](const void*) {
                                     caf::anon_send(to, slot_freed{name});
                                   }};
  return {std::move(slot), {.code = errc::none}, {}};
}

caf::result<slot_decision> admission_state::ask(const request_slot& request) {
  auto decided = book.ask(request.session, request.key, now(), request.cost);
  switch (decided.what) {
    case admission_book::answer::granted: {
      auto granted = grant(request.key);
      settle();
      return granted;
    }
    case admission_book::answer::refused:
      return slot_decision{nullptr, std::move(decided.fault), std::move(decided.headers)};
    case admission_book::answer::queued:
      break;
  }
  auto answer = self->make_response_promise<slot_decision>();
  waiting.emplace(request.session, answer);
  settle();
  return answer;
}

void admission_state::settle() {
  auto admitted = book.admit();
  auto late = book.expire(now());
  // The gauges are set before the answers are sent, so that whoever gets an answer already finds correct
  // values.
  gauges->slots.store(book.in_use(), std::memory_order_relaxed);
  gauges->waiting.store(book.waiting(), std::memory_order_relaxed);
  if (const auto due = book.next_expiry()) {
    expiry->expires_at(*due);
  } else {
    expiry->cancel();
  }
  for (const auto& next : admitted) {
    auto at = waiting.extract(next.who);
    if (!at.empty()) at.mapped().deliver(grant(next.rules));
  }
  for (auto& [who, decided] : late) {
    auto at = waiting.extract(who);
    if (!at.empty())
      at.mapped().deliver(slot_decision{nullptr, std::move(decided.fault), std::move(decided.headers)});
  }
}

admission_actor::behavior_type admission(admission_state::self_pointer self, io_worker* home,
                                         admission_options options,
                                         std::shared_ptr<admission_gauges> gauges) {
  self->state.begin(self, home, options, std::move(gauges));
  return {
      [self](const request_slot& request) { return self->state.ask(request); },
      [self](const leave_queue& gone) {
        self->state.book.leave(gone.session, self->state.now());
        self->state.waiting.erase(gone.session);
        self->state.settle();
      },
      [self](const slot_freed& back) {
        self->state.book.freed(back.key, self->state.now());
        self->state.settle();
      },
      [self](const limits_changed& news) {
        self->state.book.use(news.limits);
        self->state.settle();
      },
      [self](const tokens_spent& cost) { self->state.book.spent(cost.key, cost.tokens, self->state.now()); },
  };
}

}  // namespace llm_proxy
