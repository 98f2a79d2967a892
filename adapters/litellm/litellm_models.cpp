#include "adapters/litellm/litellm_models.hpp"

#include "http/answer/litellm_error.hpp"

#include <algorithm>
#include <utility>

namespace llm_proxy {

namespace {

/// A longer list is refused, to save memory.
constexpr std::size_t max_list_bytes = 16 * 1024 * 1024;

failure timed_out() {
  return {.code = errc::upstream_timeout, .detail = "the model list took too long"};
}

/// Returns the list of a body; null if that is not a list in Anthropic's shape.
anthropic_list read_list(std::string_view body) {
  auto all = read_anthropic_models(body);
  return all ? std::make_shared<const std::vector<anthropic_model>>(std::move(*all)) : nullptr;
}

}  // namespace

litellm_model_fetch::litellm_model_fetch(pinned_pointer<adapter_actor, litellm_state> self, io_worker& home,
                                         const litellm_options& options,
                                         caf::typed_response_promise<models> promise)
    : self_{self}, options_{options}, promise_{std::move(promise)}, deadline_{home.timers(), [this] {
                                                                                enter(self_, [this] {
                                                                                  ended(timed_out());
                                                                                });
                                                                              }} {
  deadline_.expires_after(options.models_timeout);
}

litellm_model_fetch::~litellm_model_fetch() {
  if (!over_) promise_.deliver(to_error({.code = errc::internal, .detail = "the adapter died"}));
}

void litellm_model_fetch::start() {
  ask("/v1/models");
}

void litellm_model_fetch::ask(std::string path) {
  status_ = 0;
  body_.clear();
  upstream_request request;
  request.method = "GET";
  if (step_ == step::anthropic || step_ == step::claude_code) {
    auto head = std::make_shared<request_head>();
    head->headers.add("anthropic-version", "2023-06-01");
    if (step_ == step::claude_code) head->headers.add("user-agent", "claude-code/llm-proxy");
    request.head = std::move(head);
  }
  request.path = std::move(path);
  call_ = std::make_unique<upstream_call>(
      *self_->state.upstream, std::make_shared<const std::string>(upstream_head(options_, request)), nullptr,
      max_list_bytes, *this);
  call_->start();
}

void litellm_model_fetch::on_input(call_input&& input) {
  enter(self_, [&] {
    if (input.head) status_ = input.head->status;
    body_ += input.bytes;
    if (body_.size() >= max_list_bytes) {
      ended({.code = errc::upstream_invalid_response, .detail = "the model list is too long"});
    } else if (input.whole) {
      ended({.code = errc::none});
    }
  });
}

void litellm_model_fetch::on_failed(failure reason) {
  enter(self_, [&] { ended(reason); });
}

void litellm_model_fetch::ended(const failure& reason) {
  if (step_ == step::list) {
    list_ended(reason);
    return;
  }
  const bool usable = reason.code == errc::none && status_ == 200;
  incomplete_ = incomplete_ || reason.code != errc::none || status_ >= 500;
  if (usable && step_ == step::info) enrich_models(list_, body_);
  if (usable && step_ == step::anthropic) anthropic_ = read_list(body_);
  if (usable && step_ == step::claude_code) claude_code_ = read_list(body_);
  // If the time has run out or upstream cannot be reached, the next request would fail as well.
  if (reason.code != errc::none || step_ == step::claude_code)
    answer();
  else
    ask_next(step_ == step::info ? step::anthropic : step::claude_code);
}

void litellm_model_fetch::ask_next(step next) {
  step_ = next;
  ask(next == step::info ? "/model/info" : "/v1/models");
}

void litellm_model_fetch::list_ended(const failure& reason) {
  if (reason.code != errc::none) {
    give_up(reason);
  } else if (refuses_our_key(status_, find_error(body_))) {
    spdlog::error("upstream refused this service's key (LLM_PROXY__LITELLM_API_KEY)");
    give_up({.code = errc::upstream_auth, .detail = std::to_string(status_) + " for /v1/models"});
  } else if (status_ != 200) {
    give_up(
        {.code = errc::upstream_error, .detail = "status " + std::to_string(status_) + " for /v1/models"});
  } else if (auto list = read_models(body_)) {
    list_ = std::move(*list);
    ask_next(step::info);
  } else {
    give_up({.code = errc::upstream_invalid_response, .detail = "/v1/models is not a model list"});
  }
}

void litellm_model_fetch::answer() {
  over_ = true;
  promise_.deliver(models{std::make_shared<const std::vector<model_entry>>(std::move(list_)),
                          std::move(anthropic_), std::move(claude_code_), incomplete_});
  remove();
}

void litellm_model_fetch::give_up(const failure& reason) {
  over_ = true;
  promise_.deliver(to_error(reason));
  remove();
}

void litellm_model_fetch::remove() {
  auto& fetches = self_->state.fetches;
  const auto at =
      std::find_if(fetches.begin(), fetches.end(), [this](const auto& entry) { return entry.get() == this; });
  if (at != fetches.end()) fetches.erase(at);  // destroys this
}

}  // namespace llm_proxy
