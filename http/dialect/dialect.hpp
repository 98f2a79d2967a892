#pragma once

#include <cstdint>

namespace llm_proxy {

/// Whose words an answer uses: for a stream's end, for usage, for errors.
enum class dialect : std::uint8_t {
  chat,       ///< OpenAI's choices: [DONE], or a finish_reason for each
  responses,  ///< OpenAI's responses: response.completed and its like
  anthropic,  ///< Anthropic's messages: message_stop; errors are {"type":"error",…}
  events,     ///< OpenAI's other streams: an event named ….done or ….completed
  opaque,     ///< nothing is known: an answer ends where its framing says
};

}  // namespace llm_proxy
