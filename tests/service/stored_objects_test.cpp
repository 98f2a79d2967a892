// Files, batches and what else providers store: who may reach it, and that it passes as it comes.
#include "support/any_path_upstream.hpp"
#include "support/catch.hpp"
#include "support/keys_file.hpp"
#include "support/logged_lines.hpp"
#include "support/raw_requests.hpp"

#include <atomic>
#include <string>
#include <string_view>
#include <vector>

namespace llm_proxy::test {

namespace {

using namespace std::chrono_literals;

struct stored {
  std::string path;
  std::string group;
};

/// A collection of each kind, and something below it.
const std::vector<stored>& all_stored() {
  static const std::vector<stored> all{
      {"/v1/files", "files"},
      {"/v1/files/f/content", "files"},
      {"/v1/batches", "batches"},
      {"/v1/batches/b/cancel", "batches"},
      {"/v1/messages/batches", "batches"},
      {"/v1/messages/batches/b/results", "batches"},
      {"/v1/vector_stores", "vector_stores"},
      {"/v1/vector_stores/v/files/f/content", "vector_stores"},
      {"/v1/conversations", "conversations"},
      {"/v1/conversations/c/items", "conversations"},
      {"/v1/fine_tuning/jobs", "fine_tuning"},
      {"/v1/fine_tuning/jobs/j/events", "fine_tuning"},
      {"/v1/containers", "containers"},
      {"/v1/containers/c/files/f/content", "containers"},
      {"/v1/videos", "videos"},
      {"/v1/videos/v/content", "videos"},
      {"/v1/evals", "evals"},
      {"/v1/evals/e/runs/r", "evals"},
  };
  return all;
}

settings with_keys(const scripted_upstream& up, const keys_file& file) {
  auto values = litellm_settings(up.url());
  values.internal_api_keys_file = file.path();
  return values;
}

response ask(const proxy& service, const std::string& method, const std::string& path,
             const std::string& key = std::string{test_key}, const std::string& body = {},
             header_list more = {}) {
  more.emplace_back("x-api-key", key);
  if (!body.empty()) more.emplace_back("content-type", "application/json");
  return request(service.port(), method, path, more, body);
}

}  // namespace

TEST_CASE("stored objects: each path passes bodies and answers unchanged, with /v1 and without",
          "[service][upstream][stored]") {
  scripted_upstream up;
  proxy service{litellm_settings(up.url())};
  // Neither would pass if the answer was read: a stored object may have an error of its own.
  const std::string failed = R"({"id":"j","error":{"message":"m","code":"c"}} )";
  up.set_script(always(200, failed));
  for (const auto& each : all_stored()) {
    for (const auto& path : {each.path + "?limit=1&after=%2F", each.path.substr(3) + "?limit=1&after=%2F"}) {
      INFO(path);
      const std::string body = R"( {"model":"m", "a" :1.0,"a":2} )";
      const auto created = ask(service, "POST", path, std::string{test_key}, body);
      CHECK(created.status == 200);
      CHECK(created.body == failed);
      CHECK(last_of(up).method == "POST");
      CHECK(last_of(up).target == each.path + "?limit=1&after=%2F");
      CHECK(last_of(up).body == body);
      const auto read = ask(service, "GET", path);
      CHECK(read.status == 200);
      CHECK(read.body == failed);
      CHECK(last_of(up).method == "GET");
      CHECK(last_of(up).body.empty());
    }
    CHECK(ask(service, "PUT", each.path).status == 405);
    for (const auto* bad : {"/", "//x", "/../../key/generate", "/%2e%2e/x", "/a%2fb"})
      CHECK(ask(service, "POST", each.path + bad).status == 404);
  }
  const auto wrong = ask(service, "DELETE", "/v1/batches/b");
  CHECK(wrong.status == 405);
  CHECK(wrong.header("allow") == "GET, HEAD, POST");
}

TEST_CASE("stored objects: LiteLLM's errors are worded as on every other route",
          "[service][upstream][stored]") {
  scripted_upstream up;
  proxy service{litellm_settings(up.url())};
  up.set_script(always(
      404,
      R"({"error":{"message":"litellm.NotFoundError: no file","type":"None","param":"None","code":"404"}})"));
  for (const auto& each : all_stored()) {
    INFO(each.path);
    const auto refused = ask(service, "GET", each.path);
    CHECK(refused.status == 404);
    CHECK_FALSE(holds(refused.body, "\"None\""));
    CHECK(refused.body.starts_with(R"({"type":"error")") == each.path.starts_with("/v1/messages/"));
  }
  up.set_script(always(401, R"({"error":{"message":"m","type":"t","param":null,"code":"401"}})"));
  CHECK(ask(service, "GET", "/v1/files").status == 502);
  up.set_script(always(302, ""));
  CHECK(ask(service, "GET", "/v1/files/f/content").status == 502);
}

TEST_CASE("stored objects: a DELETE answered by 204 is a success, also in the log",
          "[service][upstream][stored]") {
  const auto lines = logged(log_format::text, [] {
    scripted_upstream up{[](const upstream_request& req, upstream_reply& reply) {
      if (asks_for_models(req))
        reply.json(200, R"({"data":[]})");
      else
        reply.head(204);
    }};
    proxy service{litellm_settings(up.url())};
    for (const auto& each : all_stored()) {
      INFO(each.path);
      const auto is_possible = ask(service, "DELETE", each.path).status != 405;
      if (is_possible) CHECK(ask(service, "DELETE", each.path).status == 204);
    }
  });
  int deleted = 0;
  for (const auto& line : lines) {
    if (line.find("DELETE") == std::string::npos || line.find("rejected_invalid") != std::string::npos)
      continue;
    INFO(line);
    CHECK(line.find("204") != std::string::npos);
    CHECK(line.find("complete") != std::string::npos);
    ++deleted;
  }
  CHECK(deleted == 28);
}

TEST_CASE("stored objects: a file comes and goes as it is, in parts too", "[service][upstream][stored]") {
  scripted_upstream up;
  proxy service{litellm_settings(up.url())};
  const std::string lines =
      "{\"error\":{\"message\":\"a line of a batch\"}}\n{\"x\":\n" + std::string(3'000'000, '\xfe');
  for (const auto* path :
       {"/v1/files/f/content", "/v1/containers/c/files/f/content", "/v1/videos/v/content"}) {
    INFO(path);
    up.set_script([&](const upstream_request& req, upstream_reply& reply) {
      if (asks_for_models(req)) {
        reply.json(200, R"({"data":[]})");
        return;
      }
      reply.head(206, {{"content-type", "application/json"},
                       {"content-length", std::to_string(lines.size())},
                       {"content-range", "bytes 0-3000047/9000000"},
                       {"content-disposition", "attachment; filename=\"out.jsonl\""}});
      reply.send(lines);
    });
    const auto got = ask(service, "GET", path, std::string{test_key}, {}, {{"range", "bytes=0-3000047"}});
    CHECK(got.status == 206);
    CHECK(sha256(got.body) == sha256(lines));
    CHECK(got.header("content-length") == std::to_string(lines.size()));
    CHECK(got.header("content-range") == "bytes 0-3000047/9000000");
    CHECK(got.header("content-disposition") == "attachment; filename=\"out.jsonl\"");
    CHECK(last_of(up).header("range") == "bytes=0-3000047");
  }
  // An empty file is a file.
  up.set_script(always(200, "", "application/octet-stream"));
  const auto nothing = ask(service, "GET", "/v1/files/f/content");
  CHECK(nothing.status == 200);
  CHECK(nothing.header("content-length") == "0");
  up.set_script(always(200, R"({"id":"f"})"));
  const std::string form = "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a\"\r\n\r\n" +
                           lines + "\r\n--b--\r\n";
  for (const auto* path : {"/v1/files", "/v1/containers/c/files", "/v1/videos"}) {
    INFO(path);
    const auto sent = request(service.port(), "POST", path,
                              {key_field, {"content-type", "multipart/form-data; boundary=b"}}, form);
    CHECK(sent.status == 200);
    CHECK(sha256(last_of(up).body) == sha256(form));
    CHECK(last_of(up).header("content-type") == "multipart/form-data; boundary=b");
  }
}

TEST_CASE("stored objects: a HEAD is answered without waiting for a file's bytes",
          "[service][upstream][stored]") {
  gate never;
  scripted_upstream up{[&](const upstream_request& req, upstream_reply& reply) {
    if (asks_for_models(req)) {
      reply.json(200, R"({"data":[]})");
      return;
    }
    reply.head(200, {{"content-type", "video/mp4"}, {"content-length", "123456789"}, {"etag", "\"e\""}});
    reply.send("some");
    never.wait(5s);
  }};
  proxy service{litellm_settings(up.url())};
  raw_connection client{service.port()};
  client.send(make_request("HEAD", "/v1/videos/v/content", {{"host", "x"}, key_field}));
  const auto answer = read_response(client, 2s, true);
  never.open();
  CHECK(answer.status == 200);
  CHECK(answer.header("content-length") == "123456789");
  CHECK(answer.header("etag") == "\"e\"");
  CHECK(last_of(up).method == "GET");
}

TEST_CASE("routes of a key: it may use the usual groups, or those that its entry names",
          "[service][key][stored]") {
  scripted_upstream up{always(200, R"({"id":"x"})")};
  const keys_file file{
      {{"usual", "key-usual"},
       {"files", "key-files", R"("routes":["files"])"},
       {"most", "key-most",
        R"("routes":["chat","batches","vector_stores","conversations","fine_tuning","containers",)"
        R"("videos","evals","realtime"])"},
       {"default", "key-default", R"("rpm":1000)"}}};
  proxy service{with_keys(up, file)};
  const std::string chat_json = chat_body("m");
  CHECK(ask(service, "POST", "/v1/chat/completions", "key-usual", chat_json).status == 200);
  CHECK(ask(service, "POST", "/v1/chat/completions", "key-files", chat_json).status == 403);
  CHECK(ask(service, "POST", "/v1/chat/completions", "key-most", chat_json).status == 200);
  const auto upstream_requests = [&] {
    auto all = up.requests();
    std::erase_if(all, asks_for_models);
    return all.size();
  };
  for (const auto& each : all_stored()) {
    for (const auto& path : {each.path, each.path.substr(3)}) {
      INFO(path);
      const auto before = upstream_requests();
      // The answer comes although the body does not.
      const auto refused =
          say(service.port(), "POST " + path +
                                  " HTTP/1.1\r\nhost: x\r\nx-api-key: key-usual\r\n"
                                  "content-type: application/json\r\ncontent-length: 9\r\n\r\n");
      CHECK(refused.status == 403);
      CHECK(holds(refused.body, "'" + each.group + "'"));
      CHECK(holds(refused.body, "routes"));
      CHECK(refused.header("x-llm-proxy-error-source") == "client");
      if (holds(path, "messages")) {
        CHECK(refused.body.starts_with(R"({"type":"error","error":{)"));
      } else {
        CHECK(holds(refused.body, R"("type":"permission_error","param":null,"code":"route_not_allowed")"));
      }
      CHECK(upstream_requests() == before);
      CHECK(ask(service, "GET", path, "key-files").status == (each.group == "files" ? 200 : 403));
      CHECK(ask(service, "GET", path, "key-most").status == (each.group == "files" ? 403 : 200));
      // INTERNAL_API_KEY may use all, also where the file has an entry of its name. That entry's own key may
      // not.
      CHECK(ask(service, "GET", path).status == 200);
      CHECK(ask(service, "GET", path, "key-default").status == 403);
    }
  }
  for (const auto* path : {"/v1/realtime/client_secrets", "/v1/realtime/transcription_sessions"}) {
    CHECK(ask(service, "POST", path, "key-usual", "{}").status == 403);
    CHECK(ask(service, "POST", path, "key-most", "{}").status == 200);
  }
  // Lists of models and the service's own endpoints belong to no group.
  CHECK(ask(service, "GET", "/v1/models", "key-files").status == 200);
  CHECK(ask(service, "GET", "/nowhere", "key-files").status == 404);
}

TEST_CASE("routes of a key: a prefix of PASSTHROUGH_PATHS works for every key, a path of the table does not",
          "[service][key][stored]") {
  scripted_upstream up{always(200, "{}")};
  const keys_file file{{{"usual", "key-usual"}, {"files", "key-files", R"("routes":["files"])"}}};
  auto values = with_keys(up, file);
  values.passthrough_paths = {"/v1/skills", "/v1"};
  proxy service{values};
  for (const auto* key : {"key-usual", "key-files"})
    CHECK(ask(service, "GET", "/v1/skills/s", key).status == 200);
  CHECK(ask(service, "GET", "/v1/files", "key-usual").status == 403);
}

TEST_CASE(
    "routes of a key: a key with models may read what is stored, but create only where its model is seen",
    "[service][key][stored]") {
  scripted_upstream up{always(200, R"({"id":"x"})")};
  const keys_file file{{{"some", "key",
                         R"("models":["gpt-*"],"routes":["files","batches","vector_stores","conversations",)"
                         R"("fine_tuning","containers","videos","evals","realtime","search","ocr"])"}}};
  proxy service{with_keys(up, file)};
  for (const auto& each : all_stored()) {
    INFO(each.path);
    const bool is_checked =
        each.group == "vector_stores" || each.group == "conversations" || each.group == "fine_tuning";
    CHECK(ask(service, "GET", each.path, "key").status == 200);
    CHECK(ask(service, "GET", each.path + "?model=claude", "key").status == 403);
    CHECK(ask(service, "POST", each.path, "key", R"({"model":"claude"})").status == 403);
    CHECK(ask(service, "POST", each.path, "key", R"({"model":"gpt-4o"})").status == (is_checked ? 200 : 403));
    CHECK(ask(service, "POST", each.path, "key", R"({"a":1})").status == (is_checked ? 200 : 403));
  }
  for (const auto* path : {"/v1/realtime/client_secrets", "/v1/realtime/transcription_sessions"}) {
    const auto refused = ask(service, "POST", path, "key", R"({"session":{"model":"gpt-realtime"}})");
    CHECK(refused.status == 403);
    CHECK(holds(refused.body, R"("code":"model_not_allowed")"));
  }
  CHECK(ask(service, "POST", "/v1/search", "key", R"({"query":"q"})").status == 200);
  CHECK(ask(service, "POST", "/v1/search/tool", "key", R"({"query":"q"})").status == 200);
  CHECK(ask(service, "POST", "/v1/ocr", "key", R"({"model":"gpt-ocr","document":{}})").status == 200);
  CHECK(ask(service, "POST", "/v1/ocr", "key", R"({"model":"mistral-ocr","document":{}})").status == 403);
}

TEST_CASE("routes of a key: to read what is stored does not count towards rpm, to ask for a video does",
          "[service][key][limit][stored]") {
  scripted_upstream up{always(200, R"({"id":"x"})")};
  const keys_file file{{{"slow", "key", R"("rpm":1,"routes":["videos","files"])"}}};
  proxy service{with_keys(up, file)};
  for (int i = 0; i < 3; ++i) {
    CHECK(ask(service, "GET", "/v1/videos/v", "key").status == 200);
    CHECK(ask(service, "POST", "/v1/files", "key", "{}").status == 200);
  }
  CHECK(ask(service, "POST", "/v1/videos", "key", "{}").status == 200);
  CHECK(ask(service, "POST", "/v1/videos", "key", "{}").status == 429);
  CHECK(ask(service, "GET", "/v1/videos/v", "key").status == 200);
}

TEST_CASE("stored objects: mock mode says that it keeps nothing", "[service][stored]") {
  proxy service{mock_settings()};
  for (const auto& each : all_stored()) {
    INFO(each.path);
    const auto answer = ask(service, "GET", each.path);
    CHECK(answer.status == 404);
    CHECK(holds(answer.body, "Mock mode keeps nothing"));
    CHECK(answer.body.starts_with(R"({"type":"error")") == holds(each.path, "messages"));
    CHECK(ask(service, "POST", each.path, std::string{test_key}, "{}").status == 404);
  }
}

TEST_CASE("speech: with stream_format sse its events pass as they come, and end with speech.audio.done",
          "[service][upstream][stored]") {
  const std::string first_event = "data: {\"type\":\"speech.audio.delta\",\"audio\":\"AAAA\"}\n\n";
  const std::string last_event = "data: {\"type\":\"speech.audio.done\",\"usage\":{\"total_tokens\":2}}\n\n";
  scripted_upstream up;
  proxy service{litellm_settings(up.url())};
  const std::string body = R"({"model":"m","input":"i","voice":"v","stream_format":"sse"})";
  up.set_script(always(200, first_event + last_event, "text/event-stream"));
  const auto whole = ask(service, "POST", "/v1/audio/speech", std::string{test_key}, body);
  CHECK(whole.status == 200);
  CHECK(whole.complete);
  CHECK(whole.header("content-type") == "text/event-stream");
  CHECK(whole.body == first_event + last_event);
  up.set_script(always(200, first_event, "text/event-stream"));
  const auto cut = ask(service, "POST", "/v1/audio/speech", std::string{test_key}, body);
  CHECK_FALSE(cut.complete);
  CHECK(holds(cut.body, R"("code":"upstream_disconnected")"));
  proxy mock{mock_settings()};
  const auto mocked = ask(mock, "POST", "/v1/audio/speech", std::string{test_key}, body);
  CHECK(mocked.complete);
  CHECK(holds(mocked.body, "speech.audio.done"));
}

}  // namespace llm_proxy::test
