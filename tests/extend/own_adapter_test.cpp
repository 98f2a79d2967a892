// A new adapter as docs/extend.md shows it: the lines between the two marks are copied into that page.
// recipe: begin
#include "actors/service/proxy.hpp"
#include "actors/service/supervisor.hpp"
#include "http/json/json_text.hpp"

#include <algorithm>

namespace llm_proxy {

/// Answers every request with the same text, for instance while the models are down.
struct canned_state {
  static inline const char* name = "canned";

  struct play {
    caf::typed_response_promise<stream_head> head;
    stream_sink sink;
    std::size_t credit;  // bytes that may be sent
    bool stream;
    std::string left;  // not sent yet
  };
  /// An adapter that dies still ends its streams.
  ~canned_state() {
    for (auto& [stream, each] : plays)
      caf::anon_send(each.sink, stream_failed{{.code = errc::internal, .detail = "the canned adapter died"}});
  }

  std::unordered_map<std::uint64_t, play> plays;
};
using canned_pointer = pinned_pointer<adapter_actor, canned_state>;

/// Sends no more than was granted, so that the data of a slow client does not pile up in its session.
void push(canned_pointer self, std::uint64_t stream) {
  const auto at = self->state.plays.find(stream);
  if (at == self->state.plays.end()) return;
  auto& play = at->second;
  const auto size = std::min(play.credit, play.left.size());
  if (size == 0) return;
  const bool done = size == play.left.size();
  self->send(play.sink, stream_chunk{play.left.substr(0, size), done});
  play.left.erase(0, size);
  play.credit -= size;
  if (done) self->state.plays.erase(at);
}

/// Sends the head, then the first chunk.
void start(canned_pointer self, std::uint64_t stream) {
  auto& play = self->state.plays.at(stream);
  response_head head{200, {}};
  head.headers.add("content-type", play.stream ? "text/event-stream" : "application/json");
  play.head.deliver(stream_head{std::move(head)});
  push(self, stream);
}

std::string canned_chat(const std::string& text, bool stream) {
  const std::string content = R"({"role":"assistant","content":)" + json_quoted(text) + "}";
  if (!stream)
    return R"({"id":"canned","object":"chat.completion","created":0,"model":"canned","choices":[{"index":0,)"
           R"("message":)" +
           content + R"(,"finish_reason":"stop"}]})";
  const std::string chunk =
      R"(data: {"id":"canned","object":"chat.completion.chunk","created":0,"model":"canned","choices":[)"
      R"({"index":0,"delta":)";
  return chunk + content + R"(,"finish_reason":null}]})" + "\n\n" + chunk +
         R"({},"finish_reason":"stop"}]})" + "\n\ndata: [DONE]\n\n";
}

adapter_actor::behavior_type canned(canned_pointer self, std::string text) {
  return {
      [self, text](const open_stream& order) -> caf::result<stream_head> {
        const auto promise = self->make_response_promise<stream_head>();
        const bool stream = order.request->stream;
        self->state.plays[order.stream] = {promise, order.sink, order.credit, stream,
                                           canned_chat(text, stream)};
        if (!order.request->body_follows) start(self, order.stream);
        return promise;
      },
      [self](const body_part& part) {  // of an upload, whose content is ignored
        const auto at = self->state.plays.find(part.stream);
        if (at == self->state.plays.end()) return;
        self->send(at->second.sink, body_taken{part.data.size()});
        if (part.last) start(self, part.stream);
      },
      [self](const grant_credit& more) {
        const auto at = self->state.plays.find(more.stream);
        if (at != self->state.plays.end()) at->second.credit += more.bytes;
        push(self, more.stream);
      },
      [self](const cancel_stream& gone) { self->state.plays.erase(gone.stream); },
      [](get_models) -> caf::result<models> {
        model_entry entry;
        entry.id = "canned";
        return models{std::make_shared<const std::vector<model_entry>>(1, std::move(entry))};
      },
  };
}

/// Replaces the adapters that the settings ask for.
void use_canned(caf::actor_system& system, actor_factories& made) {
  for (auto& thread : made.threads) {
    thread.adapter = [&system, home = thread.home](std::size_t) {
      return spawn_on(system, *home, canned, "Back at six.");
    };
  }
}

}  // namespace llm_proxy
// recipe: end

#include "support/actor_stage.hpp"
#include "support/upstream_chat.hpp"

namespace llm_proxy::test {

TEST_CASE("extension: a service with an adapter of its own answers through it", "[service][extend]") {
  proxy service{mock_settings(), {}, {}, use_canned};
  const auto whole = chat(service, chat_body("any"));
  CHECK(whole.status == 200);
  CHECK(whole.body == canned_chat("Back at six.", false));
  const auto streamed = chat(service, chat_body("any", true));
  CHECK(streamed.complete);
  CHECK(streamed.header("content-type") == "text/event-stream");
  CHECK(streamed.body == canned_chat("Back at six.", true));
  CHECK(contains(get(service, "/v1/models").body, R"("id":"canned")"));
}

TEST_CASE(
    "extension: an adapter of one's own is there again after a change of the options, and takes uploads",
    "[service][extend]") {
  proxy service{mock_settings(), {}, {}, use_canned};
  auto values = mock_settings();
  values.mock_chunk_delay_ms = milliseconds{7};  // new pools
  service.reconfigure(values);
  CHECK(chat(service, chat_body("any")).body == canned_chat("Back at six.", false));
  const auto upload =
      request(service.port(), "POST", "/v1/audio/transcriptions",
              {key_field, {"content-type", "multipart/form-data; boundary=b"}}, std::string(1'000'000, 'a'));
  CHECK(upload.status == 200);
}

TEST_CASE("extension: the adapter of the recipe sends what it was granted and no more", "[actor][extend]") {
  actor_stage stage;
  std::string got;
  int done = 0;
  int failed = 0;
  const auto sink = stage.scripted<stream_sink>([&](stream_sink::pointer) {
    return stream_sink::behavior_type{[&](const stream_chunk& chunk) {
                                        got += chunk.data;
                                        done += chunk.done ? 1 : 0;
                                      },
                                      [&](const stream_failed&) { ++failed; }, [](const body_taken&) {}};
  });
  const auto adapter = stage.cast(spawn_on(stage.system(), stage.home(), canned, std::string(100'000, 'x')));
  const auto open = [&](std::uint64_t stream) {
    return stage.ask<stream_head>(
        adapter, open_stream{stream, std::make_shared<llm_proxy::upstream_request>(), sink, credit_window});
  };
  CHECK(open(1)->value->head.status == 200);
  CHECK(got.size() == credit_window);
  CHECK(done == 0);
  stage.tell(adapter, grant_credit{1, credit_window});
  CHECK(got == canned_chat(std::string(100'000, 'x'), false));
  CHECK(done == 1);

  open(2);
  stage.tell(adapter, cancel_stream{2});
  stage.tell(adapter, grant_credit{2, credit_window});
  CHECK(done == 1);

  open(3);
  stage.kill(adapter);
  CHECK(failed == 1);
}

}  // namespace llm_proxy::test
