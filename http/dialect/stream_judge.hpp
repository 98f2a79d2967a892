// Reads an upstream's event stream in its dialect. It says which bytes may go to the client now, and how the
// stream ended. Bytes are never re-framed, merged or changed: they come out as they went in, a whole event at
// a time.
#pragma once

#include "http/dialect/completion_reader.hpp"
#include "http/dialect/dialect.hpp"
#include "http/dialect/sse.hpp"
#include "http/dialect/token_usage.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace llm_proxy {

class stream_judge {
 public:
  /// A larger event is passed on in pieces as they arrive. Waiting for its end could stop the stream, because
  /// the bytes that are held use up the credit.
  static constexpr std::size_t whole_event_limit = 16 * 1024;

  /// `swallows_usage`: the proxy asked for the usage chunk, and the client did not. The chunk is counted in
  /// `usage` and not passed on.
  explicit stream_judge(dialect speaks = dialect::chat, bool swallows_usage = false)
      : speaks_{speaks}, swallows_usage_{swallows_usage} {}

  /// Takes the next bytes of the upstream's body. Returns the bytes that may now be passed on unchanged:
  /// whole events, comment lines, and pieces of an event over `whole_event_limit`. The view is valid until
  /// the next call; it points into `bytes` if nothing was held back.
  ///
  /// feed() stops after an error event. take_error() then returns that event, and unread() says how many
  /// bytes follow it; they are to be fed once the event has been passed on.
  ///
  /// A [DONE] that is not this dialect's last event, and comes before that, is left out: LiteLLM appends one
  /// to every stream that stops, and SDKs do not read on after it. It is returned at the end of the stream if
  /// that end is valid.
  std::string_view feed(std::string_view bytes);

  /// Returns how many bytes of the last feed() follow an error event; usually 0.
  std::size_t unread() const { return unread_; }

  /// Says that the body ended cleanly. If the stream is complete, returns the bytes that were held; a last
  /// event without its blank line counts if its data is complete. Otherwise the bytes are dropped, so that
  /// they do not mix with what the session writes next.
  std::string_view finish();

  /// Says that the rest of the body after the dialect's last event is not waited for, or was cut. Returns the
  /// [DONE] that was left out, if there was one, and drops an unfinished event.
  std::string_view finish_at_last_event();

  /// Frees the bytes that the last view pointed to. Optional, for a stream that may now wait for long.
  void release() { std::string().swap(out_); }

  /// Returns the error event at which feed() stopped, with its blank line; the session words it for the
  /// client. Returns an empty text the second time, if there was no such event, or if it was passed on in
  /// pieces.
  std::string take_error() {
    const auto taken = std::move(error_event_);
    return taken ? std::move(*taken) : std::string{};
  }

  /// Returns how many bytes of an unfinished event are held back.
  std::size_t held() const { return held_.size(); }
  /// Whether a piece of an event was passed on whose end has not arrived.
  bool inside_event() const { return inside_event_; }
  /// Whether the dialect's end was seen ([DONE], a finish_reason for every choice, message_stop,
  /// response.completed …), or an error event.
  bool complete() const { return done_ || error_ || all_finished(); }
  bool done_seen() const { return done_; }
  bool error_seen() const { return error_; }
  /// Whether the last event of this dialect was seen: [DONE] for chat, response.completed and the other ends
  /// of a response, message_stop. A finish_reason is never the last event, because usage may follow. In
  /// dialects whose streams may have several such events this is always false.
  bool last_event_seen() const { return done_ && speaks_ != dialect::events && speaks_ != dialect::opaque; }
  /// Whether the last event was response.failed: the stream is complete and says that there is no answer.
  bool failed_seen() const { return failed_; }
  /// Returns the `sequence_number` (Responses API) for an event of our own: one more than the largest that
  /// was seen.
  std::uint64_t next_sequence_number() const { return next_sequence_number_; }
  /// Returns how many events with data were passed on. Comments do not count.
  std::uint64_t events() const { return events_; }
  /// Returns a number that grows whenever data arrives, also inside an event. Comments do not count.
  std::uint64_t progress() const { return progress_; }

  std::optional<token_usage> usage;  // the last one seen
  std::string model;                 // the first one seen

 private:
  void open_reader();
  void put_reader_away();
  std::string_view take(std::string_view bytes);
  void take_value(std::string_view rest);
  void take_line_end();
  void begin_data_line();
  void take_data(std::string_view data);
  /// Evaluates the event. If it has not ended, that is done only if its data is complete; returns false
  /// otherwise.
  bool judge_event(bool ended);
  void judge_done();
  bool is_extra_usage() const;
  void begin_event();

  bool all_finished() const { return !uncountable_ && !seen_.empty() && seen_ == finished_; }
  void take_name(std::string_view piece);
  void merge_usage();

  dialect speaks_;
  bool swallows_usage_;
  sse_scanner lines_;
  completion_reader* reader_ = nullptr;            // of the event being read, within feed() and finish()
  std::unique_ptr<completion_reader> unfinished_;  // of an event whose end has not arrived
  std::string held_;
  std::string out_;
  std::unique_ptr<std::string> error_event_;  // null if there is none
  std::size_t unread_ = 0;
  std::uint64_t events_ = 0;
  std::uint64_t progress_ = 0;
  std::uint64_t next_sequence_number_ = 0;
  choice_set seen_;
  choice_set finished_;
  bool uncountable_ = false;
  bool done_ = false;
  bool error_ = false;
  bool failed_ = false;
  bool done_left_out_ = false;  // a [DONE] came that was not this dialect's end
  bool inside_event_ = false;
  bool at_boundary_ = true;       // no byte of the next event has arrived
  bool lacks_line_feed_ = false;  // an event that was left out ended with a CR, and its LF may follow
  /// The event being read.
  struct event_state {
    bool has_fields = false;  // it has more than comments
    bool has_data = false;
    bool in_data_line = false;
    bool in_name_line = false;
    bool is_left_out = false;       // the client does not get it
    bool is_error = false;          // it is an error event
    bool is_plain = false;          // its data was not parsed, because it holds nothing new
    std::uint8_t done_matched = 0;  // bytes of its data that spell [DONE]
    std::uint8_t name_size = 0;
    std::array<char, 40> name = {};  // its last `event:` line, cut
  };
  event_state event_;
};

}  // namespace llm_proxy
