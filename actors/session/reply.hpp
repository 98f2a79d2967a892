// What the client gets: whole answers, refusals, and streams whose status line waits for the first event.
// Bytes in, calls of a writer out; it knows nothing of the upstream and does no IO of its own.
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

namespace llm_proxy {

class reply {
 public:
  /// Both outlive it. The status of the answer is noted in `about`, once it is known.
  void begin(reply_writer& to, request_record& about) {
    to_ = &to;
    about_ = &about;
  }

  /// The status line was written: it cannot change any more.
  bool started() const { return to_->answer_started(); }
  /// Bytes that the client's socket has not taken yet.
  std::size_t backlog() const { return to_->backlog(); }

  // -- Whole answers. Each gets x-request-id and, where the record says so, server-timing.

  void send(unsigned status, std::string_view body, header_list headers);
  /// The same with content-type application/json, unless `headers` name another JSON type or an encoding.
  void send_json(unsigned status, std::string_view body, header_list headers = {});
  /// The error that upstream answered a HEAD with: how long the body of the same GET is, nobody has said.
  void send_head(unsigned status, header_list headers);
  /// The error that `reason` is, in the words of the dialect; its headers say whose fault it is and whether
  /// to try again. `detail`: as error_body() takes it.
  void refuse(const failure& reason, dialect speaks, header_list headers, std::string_view detail);

  // -- Streams, and bodies that are passed on as they come.

  /// Before the first event nothing but comments has come. They wait, up to 16 KiB, so that what fails before
  /// an event gets a true status. True: `bytes` wait. False: the answer is to be opened, then written to.
  bool hold_back(std::string_view bytes, bool has_event);
  /// Writes the head, and what waits behind it. `events`: it is an event stream. `length`: that of another
  /// body, where it is known.
  void open(response_head head, bool events, std::optional<std::uint64_t> length);
  void write(std::string_view bytes) { to_->write(bytes); }
  /// Writes an SSE comment, so that no balancer takes a silent stream for dead.
  void write_keep_alive() { to_->write(": keep-alive\n\n"); }
  /// Writes an SSE comment with the value of server-timing.
  void write_timing();

  /// The stream is opened before upstream has sent an event (STREAM_COMMIT_AFTER). Whatever happens from then
  /// on can only be told by events.
  void note_early() { is_early_ = true; }
  bool is_early() const { return is_early_; }

  /// Forgets what waits, for another try.
  void start_over() { waiting_.clear(); }

 private:
  void add_own_headers(header_list& headers) const;

  reply_writer* to_ = nullptr;
  request_record* about_ = nullptr;
  std::string waiting_;  // comments before the first event
  bool is_early_ = false;
};

}  // namespace llm_proxy
