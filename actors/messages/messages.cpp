#include "actors/messages/messages.hpp"

#include <caf/atom.hpp>
#include <caf/deep_to_string.hpp>
#include <caf/message.hpp>

namespace llm_proxy {

namespace {

constexpr auto category = caf::atom("llm-proxy");

}  // namespace

caf::error to_error(const failure& reason) {
  return {static_cast<std::uint8_t>(reason.code), category,
          caf::make_message(reason.message, reason.detail, reason.param)};
}

failure to_failure(const caf::error& error) {
  if (error.category() != category)
    return {.code = errc::internal, .detail = "actor error " + caf::to_string(error)};
  failure reason{static_cast<errc>(error.code()), {}, {}, {}};
  if (error.context().match_elements<std::string, std::string, std::string>()) {
    reason.message = error.context().get_as<std::string>(0);
    reason.detail = error.context().get_as<std::string>(1);
    reason.param = error.context().get_as<std::string>(2);
  }
  return reason;
}

}  // namespace llm_proxy
