#pragma once

#include "adapters/litellm/litellm.hpp"

#include <memory>
#include <string>

namespace llm_proxy {

/// Fetches LiteLLM's lists of models and then answers the promise. First comes `/v1/models`; then
/// `/model/info`, which adds details (if our key may not see it, only the details are missing); then the list
/// in Anthropic's shape and the one for Claude Code, which an older LiteLLM does not have. It lives in its
/// adapter's state until it has answered.
class litellm_model_fetch final : public call_events {
 public:
  litellm_model_fetch(pinned_pointer<adapter_actor, litellm_state> self, io_worker& home,
                      const litellm_options& options, caf::typed_response_promise<models> promise);
  ~litellm_model_fetch();

  void start();

  void on_input(call_input&& input) override;
  void on_part_sent(std::size_t) override {}
  void on_failed(failure reason) override;

 private:
  enum class step : std::uint8_t { list, info, anthropic, claude_code };

  void ask(std::string path);
  void ended(const failure& reason);
  void list_ended(const failure& reason);
  void ask_next(step next);
  void answer();
  void give_up(const failure& reason);
  void remove();

  pinned_pointer<adapter_actor, litellm_state> self_;
  litellm_options options_;
  caf::typed_response_promise<models> promise_;
  deadline deadline_;
  std::unique_ptr<upstream_call> call_;
  unsigned status_ = 0;
  std::string body_;
  step step_ = step::list;
  std::vector<model_entry> list_;
  anthropic_list anthropic_;
  anthropic_list claude_code_;
  bool incomplete_ = false;
  bool over_ = false;
};

}  // namespace llm_proxy
