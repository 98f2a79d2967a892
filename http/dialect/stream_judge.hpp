// Reads an upstream's event stream in its dialect: says which bytes may go to the client now, and how the
// stream ended. The bytes are never re-framed, merged or changed: what comes out is what went in, a whole
// event at a time.
#pragma once

#include "http/dialect/completion_reader.hpp"
#include "http/dialect/dialect.hpp"
#include "http/dialect/sse.hpp"
#include "http/dialect/token_usage.hpp"

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
  /// An event over this size is passed on in pieces as they come: waiting for its end would need the credits
  /// it holds.
  static constexpr std::size_t whole_event_limit = 16 * 1024;

  /// `swallows_usage`: the usage chunk was asked for by the proxy, not by the client, who is not to see it.
  /// It counts in `usage` and is left out of what is passed on.
  explicit stream_judge(dialect speaks = dialect::chat, bool swallows_usage = false)
      : speaks_{speaks}, swallows_usage_{swallows_usage} {}

  /// Takes the next bytes of the upstream's body. Returns the bytes that may now be passed on unchanged:
  /// whole events and comment lines; of an event over `whole_event_limit` the pieces as they come. Valid
  /// until the next call; points into `bytes` when nothing was held back.
  ///
  /// It stops behind an error event: take_error() then has that event, and unread() says how many bytes
  /// follow it, which are to be fed once the event has been passed on.
  ///
  /// A [DONE] that is not this dialect's end and comes before it is left out: LiteLLM appends one to every
  /// stream that stops, and SDKs read no further. It is returned at the stream's end if that is a true one.
  std::string_view feed(std::string_view bytes);

  /// How many of the bytes that feed() was given last follow an error event; usually 0.
  std::size_t unread() const { return unread_; }

  /// The body ended cleanly. Returns what was held if the stream is complete (a last event without its blank
  /// line counts when it is whole), else drops it: nothing may be glued to what the session writes next.
  std::string_view finish();

  /// After the dialect's last event the rest of the body is not waited for, or was cut. Returns the [DONE]
  /// that was left out, if there was one, and drops an unfinished event.
  std::string_view finish_at_last_event();

  /// Frees the bytes that the last view pointed to; optional, for a stream that may now wait long.
  void release() { std::string().swap(out_); }

  /// The error event at which feed() stopped, with its blank line, for the session to word. Once; empty:
  /// there was none, or it was passed on in pieces.
  std::string take_error() {
    const auto taken = std::move(error_event_);
    return taken ? std::move(*taken) : std::string{};
  }

  /// Bytes kept back: an unfinished event.
  std::size_t held() const { return held_.size(); }
  /// A piece of an event was passed on whose end has not come.
  bool inside_event() const { return inside_event_; }
  /// The dialect's end was seen ([DONE], a finish_reason for every choice, message_stop, response.completed
  /// …), or an error event.
  bool complete() const { return done_ || error_ || all_finished(); }
  bool done_seen() const { return done_; }
  bool error_seen() const { return error_; }
  /// The event was seen behind which this dialect has nothing more to say: [DONE] for chat,
  /// response.completed and its like, message_stop. Never a finish_reason, which usage may follow; never in
  /// the dialects whose streams may have several such events.
  bool last_event_seen() const { return done_ && speaks_ != dialect::events && speaks_ != dialect::opaque; }
  /// The last event was response.failed: a whole stream that says that there is no answer.
  bool failed_seen() const { return failed_; }
  /// What an event of ours has to carry as its `sequence_number` (Responses API): one more than the largest
  /// that was seen.
  std::uint64_t next_sequence_number() const { return next_sequence_number_; }
  /// Events with data passed on; comments never count.
  std::uint64_t events() const { return events_; }
  /// Grows whenever data arrives, also inside an event; comments never count.
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
  /// Takes what the event says into account; one that has not ended only if its data is whole, else false.
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
  std::unique_ptr<completion_reader> unfinished_;  // of an event whose end has not come
  std::string held_;
  std::string out_;
  std::unique_ptr<std::string> error_event_;  // null: none
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
  // Of the event being read:
  bool at_boundary_ = true;  // nothing of it has come
  bool has_fields_ = false;  // it is more than comments
  bool has_data_ = false;
  bool in_data_line_ = false;
  bool lacks_line_feed_ = false;  // an event that was left out ended with a CR: its LF may come
  bool is_left_out_ = false;      // the client does not get it
  bool is_error_ = false;         // it is an error event
  bool is_plain_ = false;         // its data was not read, for it holds nothing new
  std::array<char, 40> name_;     // NOLINT: its last `event:` line, cut
  std::uint8_t name_size_ = 0;
  bool in_name_line_ = false;
  std::uint8_t done_matched_ = 0;  // bytes of its data that spell [DONE]
};

}  // namespace llm_proxy
