#include "adapters/fake/fake.hpp"

#include "adapters/fake/fake_surface.hpp"
#include "http/wire/request_id.hpp"

#include <algorithm>
#include <ctime>
#include <utility>

namespace llm_proxy {

namespace {

using self_pointer = pinned_pointer<adapter_actor, fake_state>;

model_list mock_models() {
  model_entry mock;
  mock.id = "mock-llm";
  mock.name = "FakeLLM Echo";
  mock.provider = "Fake";
  mock.context_length = 4096;
  mock.max_input_tokens = 4096;
  mock.is_available = true;
  mock.owned_by = "llm-proxy";
  return std::make_shared<const std::vector<model_entry>>(1, std::move(mock));
}

}  // namespace

fake_author mock_author(std::chrono::milliseconds chunk_delay) {
  return [chunk_delay](const upstream_request& order) {
    const auto path = std::string_view{order.path}.substr(0, order.path.find('?'));
    const std::string_view body = order.body ? std::string_view{*order.body} : std::string_view{};
    auto answer = answer_as_mock(order.method, path, body, make_request_id(), std::time(nullptr));
    fake_script script;
    script.status = answer.status;
    script.headers.add("content-type", answer.content_type);
    for (auto& piece : answer.pieces) {
      script.steps.push_back(
          {piece.paced ? chunk_delay : std::chrono::milliseconds{0}, std::move(piece.bytes)});
    }
    return script;
  };
}

/// A script that is being played.
class fake_play {
 public:
  fake_play(self_pointer self, io_worker& home, const open_stream& order, fake_script script,
            caf::typed_response_promise<stream_head> promise)
      : self_{self},
        stream_{order.stream},
        sink_{order.sink},
        credit_{order.credit},
        script_{std::move(script)},
        promise_{std::move(promise)},
        pause_{home.timers(), [this] { enter(self_, [this] { go_on(); }); }} {}

  ~fake_play() {
    if (!over_) tell_failed({.code = errc::internal, .detail = "the adapter died"});
  }

  void start() {
    if (script_.head_delay.count() > 0) {
      pause_.expires_after(script_.head_delay);
    } else {
      go_on();
    }
  }

  void grant(std::size_t bytes) {
    credit_ += bytes;
    if (std::exchange(starved_, false)) go_on();
  }

  void abandon() { over_ = true; }
  /// Only counts the bytes of the body, because the script does not depend on them.
  void take(const body_part& part) {
    self_->send(sink_, body_taken{part.data.size()});
    if (part.last) start();
  }

 private:
  void go_on() {
    if (!head_sent_) {
      if (script_.steps.empty() && script_.fails) {
        end();
        return;
      }
      head_sent_ = true;
      promise_.deliver(stream_head{{script_.status, script_.headers}});
    }
    while (step_ < script_.steps.size()) {
      auto& step = script_.steps[step_];
      if (step.delay.count() > 0) {
        pause_.expires_after(std::exchange(step.delay, {}));
        return;
      }
      while (sent_ < step.bytes.size()) {
        if (credit_ == 0) {
          starved_ = true;
          return;
        }
        const auto size = std::min(credit_, step.bytes.size() - sent_);
        self_->send(sink_, stream_chunk{step.bytes.substr(sent_, size)});
        sent_ += size;
        credit_ -= size;
      }
      sent_ = 0;
      ++step_;
    }
    end();
  }

  void end() {
    over_ = true;
    if (script_.fails) {
      tell_failed(*script_.fails);
    } else {
      self_->send(sink_, stream_chunk{{}, true});
    }
    self_->state.plays.erase(stream_);  // destroys this
  }

  void tell_failed(const failure& reason) {
    if (head_sent_) {
      self_->send(sink_, stream_failed{reason});
    } else {
      promise_.deliver(to_error(reason));
    }
  }

  self_pointer self_;
  std::uint64_t stream_;
  stream_sink sink_;
  std::size_t credit_;
  fake_script script_;
  caf::typed_response_promise<stream_head> promise_;
  deadline pause_;
  std::size_t step_ = 0;
  std::size_t sent_ = 0;  // bytes of the current step
  bool head_sent_ = false;
  bool starved_ = false;  // waits for credit
  bool over_ = false;
};

fake_state::fake_state() = default;
fake_state::~fake_state() = default;

adapter_actor::behavior_type fake(self_pointer self, io_worker* home, fake_author author) {
  return {
      [self, home, author](const open_stream& order) -> caf::result<stream_head> {
        auto promise = self->make_response_promise<stream_head>();
        auto& play = self->state.plays[order.stream];
        play = std::make_unique<fake_play>(self, *home, order, author(*order.request), promise);
        if (!order.request->body_follows) play->start();
        return promise;
      },
      [self](const body_part& part) {
        const auto at = self->state.plays.find(part.stream);
        if (at != self->state.plays.end()) at->second->take(part);
      },
      [self](const grant_credit& grant) {
        const auto at = self->state.plays.find(grant.stream);
        if (at != self->state.plays.end()) at->second->grant(grant.bytes);
      },
      [self](const cancel_stream& cancel) {
        const auto at = self->state.plays.find(cancel.stream);
        if (at == self->state.plays.end()) return;
        at->second->abandon();
        self->state.plays.erase(at);
      },
      [](get_models) { return models{mock_models()}; },
  };
}

}  // namespace llm_proxy
