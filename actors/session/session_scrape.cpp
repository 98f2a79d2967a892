// GET /metrics.
#include "actors/session/session.hpp"

#include <string_view>
#include <utility>

namespace llm_proxy {

namespace {

/// A scrape that its client has not read within this time is cut, so that a slow client cannot keep others
/// out. Prometheus itself stops waiting after 10 s by default (its option scrape_timeout).
constexpr auto longest_scrape = std::chrono::seconds{30};
constexpr std::size_t scrape_piece = std::size_t{64} << 10;
/// The pause before the session checks again whether the client has acknowledged everything.
constexpr auto look_again_after = std::chrono::milliseconds{5};

}  // namespace

void session_state::answer_metrics() {
  // With METRICS_PUBLIC and on ADMIN_PORT there is no key.
  if (record_.key && !is_operator_) {
    refuse({.code = errc::internal_key_required});
    return;
  }
  self_->request(context_->metrics, caf::infinite, scrape_metrics{context_->upstreams})
      .then([this](const metrics_text& all) { send_metrics(all); },
            [this](const caf::error& error) {
              header_list headers;
              headers.add("retry-after", "1");
              refuse(to_failure(error), std::move(headers));
            });
}

void session_state::send_metrics(const metrics_text& all) {
  if (phase_ == phase::closed) return;  // its client has left
  scrape_ = std::make_unique<scrape_answer>(context_->home->timers(), all.text,
                                            calling<&session_state::send_more_metrics>(),
                                            calling<&session_state::give_metrics_up>());
  scrape_->too_late.expires_after(longest_scrape);
  record_.status = 200;
  response_head out{200, {}};
  out.headers.add("content-type", prometheus_text::content_type);
  reply_.add_own_headers(out.headers);
  client_->start_answer(out, body_framing::content_length, scrape_->text->size(), false);
  if (head().method == "HEAD")
    end(verdict::complete, closing::whole);
  else
    send_more_metrics();
}

/// Sends one piece at a time, so that no turn copies or encrypts megabytes. The answer ends only when the
/// client has all of it. Until then the scrape counts against the limit of the process. Otherwise clients
/// that do not read could make the process, or the kernel's buffers, hold one text for each of them.
void session_state::send_more_metrics() {
  const std::string_view text = *scrape_->text;
  if (scrape_->written < text.size()) {
    if (client_->backlog() > scrape_piece) return;  // on_sent() continues when the client has read
    const auto piece = text.substr(scrape_->written, scrape_piece);
    scrape_->written += piece.size();
    client_->write(piece);
  } else if (client_->backlog() > 0) {
    return;
  } else if (client_->unacknowledged() > 0) {
    scrape_->look_again.expires_after(look_again_after);
  } else {
    end(verdict::complete, closing::whole);
  }
}

void session_state::give_metrics_up() {
  end(verdict::client_gone, closing::broken);
}

}  // namespace llm_proxy
