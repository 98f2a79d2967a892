// One try of a request at one upstream: the adapter that was asked, the answer that has arrived, and what the
// answer means. It does no I/O: the session passes it what the adapter sends, and acts on what it returns. A
// retry is a new attempt.
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
  /// `swallows_usage` is passed on to stream_judge.
  explicit attempt(dialect speaks = dialect::chat, bool swallows_usage = false)
      : judge{speaks, swallows_usage} {}

  // -- The adapter that has the request.

  adapter_lease lease;
  /// The adapter has the request and will send more of the answer, so it has to be told if nobody waits for
  /// it any more.
  bool is_open = false;
  /// The deadline of our own that ended this attempt.
  missed missed_deadline = missed::none;

  // -- Its answer.

  response_head head;
  /// The body is an event stream, passed on as it comes.
  bool is_event_stream = false;
  /// The events of the body are read. False if the body is compressed or in no known dialect; then it ends
  /// where its framing says.
  bool is_judged = true;

  /// Takes upstream's head, and returns how the body is handled.
  answer_plan take_head(response_head&& upstream_head, const answer_terms& terms);
  /// Returns the length of a body that is passed on as it comes, or nullopt if upstream does not send it.
  std::optional<std::uint64_t> known_length() const;

  // -- An event stream.

  stream_judge judge;

  /// A part of a stream.
  struct piece {
    std::string_view bytes;  ///< to be passed on; valid until the next call
    std::string error;      ///< an error event that follows them, in upstream's words; empty if there is none
    bool is_first = false;  ///< the error is the stream's first event
  };
  /// Takes the next piece from the front of `bytes`. Has to be called again until `bytes` is empty.
  piece take_events(std::string_view& bytes);
  /// Returns whether an event, or a part of one, has arrived. Comments do not count.
  bool has_event() const { return !is_judged || judge.events() > 0 || judge.inside_event(); }
  /// Returns whether data has arrived since the last call. Comments do not count.
  bool has_progressed() { return judge.progress() != std::exchange(progress_, judge.progress()); }
  /// The same, counted separately for the timer that keeps the client's connection alive.
  bool was_heard() { return judge.progress() != std::exchange(heard_, judge.progress()); }
  /// The client's socket has taken all bytes up to the stream's last event.
  bool is_last_event_sent = false;
  /// Returns the verdict of a stream that reached the end that its dialect defines.
  verdict stream_verdict() const {
    return judge.error_seen() || judge.failed_seen() ? verdict::upstream_error : verdict::complete;
  }

  // -- A body that is held until it is complete, so that it can be judged.

  std::string held;
  /// The body grew too long to be held, and is passed on as it comes.
  bool is_released = false;

  /// Appends to the held body. Returns false if it is now longer than a body may be to be held.
  bool hold(std::string&& bytes);

  // -- Credit.

  void note_received(std::size_t bytes) { ungranted_ += bytes; }
  /// Returns how many more bytes the adapter may be granted while `backlog` bytes wait for the client to read
  /// them, or 0 if they are too few for a message yet.
  std::size_t take_credit(std::size_t backlog);
  /// The adapter may not send more, because the client reads too slowly.
  bool is_out_of_credit() const { return ungranted_ >= credit_window; }

 private:
  std::size_t ungranted_ = 0;   // bytes received and not granted again
  std::uint64_t progress_ = 0;  // the judge's progress at the last call of has_progressed()
  std::uint64_t heard_ = 0;     // the same for was_heard()
};

}  // namespace llm_proxy
