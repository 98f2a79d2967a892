// Every row of the route table through the whole service. Upstream gets exactly the bytes that the client
// sent, and the client gets exactly those that upstream sent.
#include "http/json/json_text.hpp"
#include "support/any_path_upstream.hpp"
#include "support/catch.hpp"

#include <string>
#include <vector>

namespace llm_proxy::test {

namespace {

using namespace std::chrono_literals;

/// Returns JSON members that would change if a proxy parsed the JSON and wrote it again.
std::string adversarial_members() {
  std::string members =
      R"("big":9007199254740993,"real":1.0,"tiny":1e-7,"minus":-0,"huge":1e400,"dup":1,"dup":2,"esc":"\u0041\/\ud83d\ude00","lone":"\ud800 \udc00","bom":")"
      "\xEF\xBB\xBF"
      R"(","empty":{},"nul":null , "deep":[[[[{"a":[]}]]]],"longnumber":0.1234567890123456789012345678901234567890,)";
  members += R"("tools_schema":")" + std::string(300 * 1024, 's') + "\"";
  return members;
}

struct row {
  std::string method;
  std::string path;
  std::string upstream_path;
  std::string members;  // of its JSON body; empty if it has no body
  bool may_stream = false;
};

const std::vector<row>& json_rows() {
  static const std::vector<row> rows{
      {"POST", "/v1/chat/completions", "/v1/chat/completions", R"("model":"m","messages":[])", true},
      {"POST", "/chat/completions?api-version=1", "/v1/chat/completions?api-version=1",
       R"("model":"m","messages":[])", true},
      {"POST", "/v1/llm/chat/completions", "/v1/chat/completions", R"("model":"m","messages":[])", true},
      {"POST", "/v1/completions", "/v1/completions", R"("model":"m","prompt":"p")", true},
      {"POST", "/v1/embeddings?x=%2F&y", "/v1/embeddings?x=%2F&y", R"("model":"m","input":["a"])"},
      {"POST", "/v1/moderations", "/v1/moderations", R"("input":"a")"},
      {"POST", "/v1/rerank", "/v1/rerank", R"("model":"m","query":"q","documents":[])"},
      {"POST", "/v1/images/generations", "/v1/images/generations", R"("prompt":"p")", true},
      {"POST", "/v1/responses", "/v1/responses", R"("model":"m","input":"i")", true},
      {"GET", "/v1/responses/resp_1?include=a", "/v1/responses/resp_1?include=a", ""},
      {"DELETE", "/v1/responses/resp_1", "/v1/responses/resp_1", ""},
      {"POST", "/v1/responses/resp_1/cancel", "/v1/responses/resp_1/cancel", ""},
      {"GET", "/v1/responses/resp_1/input_items?after=a", "/v1/responses/resp_1/input_items?after=a", ""},
      {"POST", "/v1/responses/compact", "/v1/responses/compact", R"("model":"m","input":"i")"},
      {"POST", "/v1/responses/input_tokens", "/v1/responses/input_tokens", R"("model":"m","input":"i")"},
      {"POST", "/v1/messages?beta=true", "/v1/messages?beta=true",
       R"("model":"m","messages":[],"max_tokens":1)", true},
      {"POST", "/v1/messages/count_tokens", "/v1/messages/count_tokens", R"("model":"m","messages":[])"},
      {"POST", "/v1/ocr", "/v1/ocr", R"("model":"m","document":{"type":"document_url"})"},
      {"POST", "/v1/audio/speech", "/v1/audio/speech", R"("model":"m","input":"i","voice":"v")"},
      {"POST", "/responses", "/v1/responses", R"("model":"m","input":"i")", true},
      {"GET", "/responses/resp_1?include=a", "/v1/responses/resp_1?include=a", ""},
      {"POST", "/embeddings", "/v1/embeddings", R"("model":"m","input":["a"])"},
      {"POST", "/messages?beta=true", "/v1/messages?beta=true", R"("model":"m","messages":[],"max_tokens":1)",
       true},
  };
  return rows;
}

response ask(const proxy& service, const row& which, const std::string& body) {
  header_list headers{{"x-internal-auth", std::string{test_key}}};
  if (!body.empty()) headers.emplace_back("content-type", "application/json");
  return request(service.port(), which.method, which.path, headers, body);
}

}  // namespace

TEST_CASE("surface: each row passes bodies, paths and queries on unchanged, in both directions",
          "[service][upstream][surface]") {
  scripted_upstream up;
  proxy service{litellm_settings(up.url())};
  const std::string answer_body = " {" + adversarial_members() + R"(,"id":"x"})" + "\r\n";
  for (const auto& each : json_rows()) {
    INFO(each.method << ' ' << each.path);
    const std::string body =
        each.members.empty() ? "" : " {" + each.members + "," + adversarial_members() + "} \n";
    up.set_script(always(200, answer_body));
    up.clear_requests();
    const auto answer = ask(service, each, body);
    CHECK(answer.status == 200);
    CHECK(sha256(answer.body) == sha256(answer_body));
    CHECK(answer.header("x-litellm-model-id") == "1");
    const auto got = last_of(up);
    CHECK(got.method == each.method);
    CHECK(got.target == each.upstream_path);
    CHECK(sha256(got.body) == sha256(body));
    CHECK(got.header("authorization") == "Bearer upstream-key");
    CHECK_FALSE(got.has("x-internal-auth"));
    CHECK(got.has("content-type") == !body.empty());
  }
}

TEST_CASE("surface: event streams of each dialect pass unchanged and are judged by the dialect's last event",
          "[service][upstream][surface]") {
  const std::string large = "data: {\"x\":\"" + std::string(2 * 1024 * 1024, 'l') + "\"}\n\n";
  struct dialect_case {
    std::string path;
    std::string members;
    std::string middle;
    std::string end;
  };
  scripted_upstream up;
  proxy service{litellm_settings(up.url())};
  for (const auto& each : std::vector<dialect_case>{
           {"/v1/chat/completions", R"("model":"m","messages":[])",
            "data: {\"choices\":[{\"index\":0,\"delta\":{}}]}\r\n\r\n", "data: [DONE]\n\n"},
           {"/v1/completions", R"("model":"m")", "data: {\"choices\":[{\"index\":0,\"text\":\"a\"}]}\n\n",
            "data: {\"choices\":[{\"index\":0,\"text\":\"\",\"finish_reason\":\"stop\"}]}\n\n"},
           {"/v1/responses", R"("model":"m")",
            "event: response.created\ndata: {\"type\":\"response.created\",\"response\":{}}\n\n",
            "event: response.completed\ndata: "
            "{\"type\":\"response.completed\",\"response\":{\"error\":null}}\n\n"},
           {"/v1/messages", R"("model":"m","messages":[])",
            "event: ping\ndata: {\"type\": \"ping\"}\n\nunknown: field\nid: 1\ndata:x\n\n",
            "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n"},
           {"/v1/images/generations", R"("prompt":"p")",
            "event: image_generation.partial_image\ndata: {}\n\n",
            "event: image_generation.completed\ndata: {\"type\":\"image_generation.completed\"}\n\n"},
       }) {
    INFO(each.path);
    const std::string body = "{" + each.members + R"(,"stream":true})";
    const row which{"POST", each.path, "", "", true};
    const std::string whole = each.middle + ": comment\r\n\r\n" + large + each.end;
    up.set_script(streams(whole, 64 * 1024 - 7));
    const auto good = ask(service, which, body);
    CHECK(good.status == 200);
    CHECK(good.complete);
    CHECK(sha256(good.body) == sha256(whole));
    CHECK(good.header("cache-control") == "no-cache");
    up.set_script(streams(each.middle, 11));
    const auto cut = ask(service, which, body);
    CHECK(cut.status == 200);
    CHECK_FALSE(cut.complete);
    CHECK(cut.body.find(each.middle) == 0);
    CHECK(contains(cut.body, R"("code":"upstream_disconnected")"));
    CHECK_FALSE(contains(cut.body, "[DONE]"));
    const bool named = each.path == "/v1/messages" || each.path == "/v1/responses";
    CHECK(contains(cut.body, "event: error\ndata: {\"type\":\"error\"") == named);
  }
}

TEST_CASE("surface: invalid bodies are refused by each row's rules", "[service][upstream][surface]") {
  scripted_upstream up;
  proxy service{litellm_settings(up.url())};
  for (const auto& each : json_rows()) {
    INFO(each.method << ' ' << each.path);
    if (each.members.empty()) continue;
    CHECK(ask(service, each, "{").status == 400);
    CHECK(ask(service, each, "[]").status == 422);
    CHECK(ask(service, each, R"({"stream":1})").status == 422);
    const header_list text{{"x-internal-auth", std::string{test_key}}, {"content-type", "text/plain"}};
    CHECK(request(service.port(), "POST", each.path, text, "{}").status == 415);
    CHECK(request(service.port(), "PUT", each.path, text, "{}").status == 405);
  }
  const auto refused = ask(service, {"POST", "/v1/messages", "", "", false}, "{}");
  CHECK(refused.body.find(
            R"({"type":"error","detail":[{"loc":["body","model"],"msg":"Field required","type":"missing"},)"
            R"({"loc":["body","messages"],"msg":"Field required","type":"missing"}],)"
            R"("error":{"message":"missing required parameter: 'model'","type":"invalid_request_error")") ==
        0);
  const auto stranger = request(service.port(), "POST", "/v1/messages");
  CHECK(stranger.status == 401);
  CHECK(stranger.body.find(R"({"type":"error","detail":"unauthorized","error":{)") == 0);
  CHECK(stranger.header("x-llm-proxy-error-source") == "client");
  for (const auto& got : up.requests()) CHECK(asks_for_models(got));
}

TEST_CASE("surface: ACCOUNT_USAGE requests the usage and does not pass its chunk on",
          "[service][upstream][surface]") {
  const std::string finish = event_of(stop);
  const std::string usage = event_of(R"({"choices":[],"usage":{"prompt_tokens":5,"completion_tokens":3}})");
  const std::string end = "data: [DONE]\n\n";
  scripted_upstream up{streams(finish + usage + end, 13)};
  auto values = litellm_settings(up.url());
  values.account_usage = true;
  values.model_aliases = {{"a", "much-longer-name"}};
  proxy service{values};
  const auto answer = chat(service, R"({"model":"a","stream":true,"messages":[]})");
  CHECK(answer.body == finish + end);
  CHECK(
      wait_for_chat(up).body ==
      R"({"stream_options":{"include_usage":true},"model":"much-longer-name","stream":true,"messages":[]})");
  // A client that asks for the usage gets it, and neither its request nor the stream is changed.
  const std::string asks =
      R"({"stream_options":{"include_usage":true},"model":"m","stream":true,"messages":[]})";
  CHECK(chat(service, asks).body == finish + usage + end);
  CHECK(last_of(up).body == asks);
  const std::string plain = R"({"model":"m","messages":[]})";
  chat(service, plain);
  CHECK(last_of(up).body == plain);
}

TEST_CASE("surface: an alias goes upstream as the model it stands for, and both are listed",
          "[service][upstream][surface]") {
  scripted_upstream up;
  auto values = litellm_settings(up.url());
  values.model_aliases = {{"fast", "gpt-4o-mini"}};
  values.default_model = "fast";
  proxy service{values};
  for (const std::string name : {"fast", ""}) {
    const auto answer = ask(service, {"POST", "/v1/embeddings", "", "", false},
                            R"({"input":1.0e0 ,"input":"a","model": ")" + name + R"("})");
    CHECK(last_of(up).body == R"({"input":1.0e0 ,"input":"a","model": "gpt-4o-mini"})");
  }
  const auto list =
      request(service.port(), "GET", "/v1/models", {{"x-internal-auth", std::string{test_key}}});
  CHECK(contains(list.body, R"("id":"fast")"));
}

TEST_CASE("surface: everything below PASSTHROUGH_PATHS is passed on, and nothing else",
          "[service][upstream][surface]") {
  scripted_upstream up;
  auto values = litellm_settings(up.url());
  values.passthrough_paths = {"/v1/skills"};
  proxy service{values};
  const header_list keyed{{"x-internal-auth", std::string{test_key}},
                          {"content-type", "application/x-thing"}};
  up.set_script(always(201, "\x01\x02 no JSON", "application/octet-stream"));
  const auto answer = request(service.port(), "PUT", "/v1/skills/a?b", keyed, "\x03\xff");
  CHECK(answer.status == 201);
  CHECK(answer.body == "\x01\x02 no JSON");
  CHECK(last_of(up).method == "PUT");
  CHECK(last_of(up).target == "/v1/skills/a?b");
  CHECK(last_of(up).body == "\x03\xff");
  CHECK(last_of(up).header("content-type") == "application/x-thing");
  for (const auto* path :
       {"/v1/memories", "/key/generate", "/v1/skills/../../key/generate", "/v1/skills/%2e%2e/x"}) {
    CHECK(request(service.port(), "POST", path, keyed, "{}").status == 404);
  }
}

TEST_CASE("surface: audio passes unchanged, with its length, and is an error if it is empty or cut",
          "[service][upstream][surface]") {
  scripted_upstream up;
  proxy service{litellm_settings(up.url())};
  const row speech{"POST", "/v1/audio/speech", "", "", false};
  const std::string ask_body = R"({"model":"m","input":"i","voice":"v"})";
  const std::string audio = std::string("\xff\xfb\0", 3) + std::string(5'000'000, '\x80');
  up.set_script(always(200, audio, "audio/mpeg"));
  const auto whole = ask(service, speech, ask_body);
  CHECK(whole.status == 200);
  CHECK(whole.header("content-type") == "audio/mpeg");
  CHECK(whole.header("content-length") == std::to_string(audio.size()));
  CHECK(sha256(whole.body) == sha256(audio));
  up.set_script(always(200, "", "audio/mpeg"));
  CHECK(ask(service, speech, ask_body).status == 502);
  up.set_script(always(500, R"({"error":{"message":"m","type":"t","param":null,"code":"c"}})"));
  CHECK(ask(service, speech, ask_body).status == 502);
  up.set_script([&](const upstream_request& req, upstream_reply& reply) {
    if (asks_for_models(req)) {
      reply.json(200, R"({"data":[]})");
      return;
    }
    reply.head(200, {{"content-type", "audio/mpeg"}, {"transfer-encoding", "chunked"}});
    reply.chunk(audio.substr(0, 1000));
    reply.reset();
  });
  const auto cut = ask(service, speech, ask_body);
  CHECK_FALSE(cut.complete);
}

}  // namespace llm_proxy::test
