// One try of a request at one upstream: what was asked, what has come, and what it means. The session feeds
// it with what the adapter says and does what it returns; it does no IO. A retry is a new one.
#pragma once

#include "actors/messages/stream_messages.hpp"
#include "actors/session/verdict.hpp"
#include "http/answer/upstream_answer.hpp"
#include "http/dialect/stream_judge.hpp"
#include "http/wire/message.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace llm_proxy {

struct attempt {
  /// `swallows_usage`: as stream_judge takes it.
  explicit attempt(dialect speaks = dialect::chat, bool swallows_usage = false)
      : judge{speaks, swallows_usage} {}

  // -- The adapter that has the request.

  adapter_lease lease;
  /// The adapter was asked and will say more, so it has to be told when nobody waits any more.
  bool is_open = false;
  /// The deadline of ours that ended it.
  missed missed_deadline = missed::none;

  // -- Its answer.

  response_head head;
  /// The body is an event stream, passed on as it comes.
  bool is_event_stream = false;
  /// Its events are read. False: it is compressed or in no known dialect, and ends where its framing says.
  bool is_judged = true;

  /// Takes upstream's head, and says what is to become of the body.
  answer_plan take_head(response_head&& upstream_head, const answer_terms& terms);
  /// The length of a body that is passed on as it comes, where upstream tells it.
  std::optional<std::uint64_t> known_length() const;

  // -- An event stream.

  stream_judge judge;

  /// A part of a stream.
  struct piece {
    std::string_view bytes;  ///< to be passed on; valid until the next call
    std::string error;       ///< an error event behind them, in upstream's words; empty: none
    bool is_first = false;   ///< that error is the stream's first event
  };
  /// Takes from the front of `bytes` what can be told at once. To be called again until `bytes` is empty.
  piece take_events(std::string_view& bytes);
  /// An event has come, or a part of one. Comments are none.
  bool has_event() const { return !is_judged || judge.events() > 0 || judge.inside_event(); }
  /// Whether data has come since this was last asked. Comments are none.
  bool has_progressed() { return judge.progress() != std::exchange(progress_, judge.progress()); }
  /// The same, for whoever keeps the client's connection alive.
  bool was_heard() { return judge.progress() != std::exchange(heard_, judge.progress()); }
  /// The client's socket has taken all bytes up to the stream's last event.
  bool is_last_event_sent = false;
  /// How a stream that came to its dialect's end has ended.
  verdict stream_verdict() const {
    return judge.error_seen() || judge.failed_seen() ? verdict::upstream_error : verdict::complete;
  }

  // -- A body that is held until it is whole, so that it can be judged.

  std::string held;
  /// It grew too long for that, and is passed on as it comes.
  bool is_released = false;

  /// Takes more of it. False: it is longer than what is held.
  bool hold(std::string&& bytes);

  // -- Credit.

  void note_received(std::size_t bytes) { ungranted_ += bytes; }
  /// Returns how many bytes the adapter may be granted again, while `backlog` bytes wait for the client to
  /// read; 0 if that is not worth a message yet.
  std::size_t take_credit(std::size_t backlog);
  /// The adapter may send nothing more: the client holds upstream up.
  bool is_out_of_credit() const { return ungranted_ >= credit_window; }

 private:
  std::size_t ungranted_ = 0;   // bytes received and not granted again
  std::uint64_t progress_ = 0;  // the judge's, as last asked for
  std::uint64_t heard_ = 0;
};

}  // namespace llm_proxy
