#include "actors/runtime/pinned.hpp"

namespace llm_proxy {

std::string describe(const std::exception_ptr& thrown) {
  try {
    std::rethrow_exception(thrown);
  } catch (const std::exception& error) {
    return error.what();
  } catch (...) {
    return "not a std::exception";
  }
}

std::string what_it_handles(caf::scheduled_actor& self) {
  const auto* message = self.current_mailbox_element();
  if (message == nullptr) return "its own beginning";
  const auto& content = message->content();
  return content.empty() ? "an empty message" : self.system().types().portable_name(content.type(0));
}

}  // namespace llm_proxy
