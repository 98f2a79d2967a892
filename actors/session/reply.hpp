// What the client gets: whole answers, refusals, and streams whose status line waits for the first event. The
// reply turns bytes into calls of a writer. It knows nothing of the upstream and does no I/O of its own.
#pragma once

#include "actors/session/record.hpp"
#include "http/answer/error_shape.hpp"
#include "http/dialect/dialect.hpp"
#include "http/downstream/reply_writer.hpp"
#include "http/wire/errc.hpp"
#include "http/wire/message.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace llm_proxy {

class reply {
 public:
  /// `to`, `about` and `origins` must outlive the reply. The status of the answer is noted in `about` once it
  /// is known. `origins` are those whose pages may read the answer; null if the option is not set.
  void begin(reply_writer& to, request_record& about, const std::vector<std::string>* origins = nullptr) {
    to_ = &to;
    about_ = &about;
    origins_ = origins;
  }

  /// Returns whether the status line was written. Then it cannot change any more.
  bool started() const { return to_->answer_started(); }
  /// Returns how many bytes the client's socket has not taken yet.
  std::size_t backlog() const { return to_->backlog(); }

  /// Adds x-request-id, server-timing if the record's has_timing is set, and what add_cors_headers() adds.
  /// The functions below do so by themselves. Whoever writes a head without them calls this at the end of it.
  void add_own_headers(header_list& headers) const;

  // -- Whole answers.

  void send(unsigned status, std::string_view body, header_list headers);
  /// The same with content-type application/json, unless `headers` have another JSON type or a
  /// content-encoding.
  void send_json(unsigned status, std::string_view body, header_list headers = {});
  /// Sends the answer to a HEAD that was passed on. It has no content-length, because the length of the body
  /// that a GET would get is not known.
  void send_head(unsigned status, header_list headers);
  /// Answers with the error for `reason`, worded for the dialect. Its headers say whose fault it is and
  /// whether to try again. `detail` is passed to error_body().
  void refuse(const failure& reason, dialect speaks, header_list headers, std::string_view detail);

  // -- Streams, and bodies that are passed on as they come.

  /// Holds back the comments that arrive before the first event, up to 16 KiB, so that a request that fails
  /// before an event still gets the status of its error. Returns true if `bytes` were held back. If it
  /// returns false, the caller has to open the answer and to write them.
  bool hold_back(std::string_view bytes, bool has_event);
  /// Writes the head, and then the comments that were held back. `events` says whether the body is an event
  /// stream. `length` is the length of any other body, if it is known.
  void open(response_head head, bool events, std::optional<std::uint64_t> length);
  void write(std::string_view bytes) { to_->write(bytes); }
  /// Writes an SSE comment, so that no load balancer takes a silent stream for dead.
  void write_keep_alive() { to_->write(": keep-alive\n\n"); }
  /// Writes an SSE comment with the value of server-timing.
  void write_timing();

  /// Notes that the stream is opened before upstream has sent an event (STREAM_COMMIT_AFTER). From then on
  /// the client can learn of an error only from an event.
  void note_early() { is_early_ = true; }
  bool is_early() const { return is_early_; }

  /// Drops the comments that were held back, before the next attempt.
  void start_over() { waiting_.clear(); }

 private:
  reply_writer* to_ = nullptr;
  request_record* about_ = nullptr;
  const std::vector<std::string>* origins_ = nullptr;
  std::string waiting_;  // comments before the first event
  bool is_early_ = false;
};

}  // namespace llm_proxy
