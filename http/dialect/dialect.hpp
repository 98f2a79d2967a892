#pragma once

#include <cstdint>

namespace llm_proxy {

/// Whose protocol an answer follows. It decides how a stream ends and how usage and errors are written.
enum class dialect : std::uint8_t {
  chat,       ///< OpenAI's choices: a stream ends with [DONE], or with a finish_reason for each choice
  responses,  ///< OpenAI's responses: a stream ends with response.completed or a similar event
  anthropic,  ///< Anthropic's messages: a stream ends with message_stop; errors are {"type":"error",…}
  events,     ///< OpenAI's other streams: they end with an event named ….done or ….completed
  opaque,     ///< unknown: an answer ends where its HTTP framing says
};

}  // namespace llm_proxy
