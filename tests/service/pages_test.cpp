// The pages that are built into the program, the API description, and GET /ui/events.
#include "http/request/route.hpp"
#include "support/keys_file.hpp"
#include "support/raw_requests.hpp"
#include "support/scripted_upstream.hpp"

#include <rapidjson/document.h>

#include <algorithm>
#include <future>
#include <set>
#include <string>
#include <vector>

namespace llm_proxy::test {

namespace {

using namespace std::chrono_literals;

std::vector<std::string> page_paths() {
  std::vector<std::string> paths;
  for (const auto& row : all_routes()) {
    if (row.target == endpoint::page && row.path != "/redoc") paths.emplace_back(row.path);
  }
  return paths;
}

rapidjson::Document parsed(const std::string& text) {
  rapidjson::Document document;
  document.Parse(text.data(), text.size());
  REQUIRE_FALSE(document.HasParseError());
  return document;
}

/// Reads snapshots until one fits, and returns it; nullopt if none comes.
template <class Fits>
std::optional<std::string> wait_for_snapshot(event_stream& events, Fits fits) {
  const auto end = test_clock::now() + patience;
  while (test_clock::now() < end) {
    const auto event = events.next(patience);
    if (!event) return std::nullopt;
    if (fits(parsed(event->data))) return event->data;
  }
  return std::nullopt;
}

void watch_events(raw_connection& client) {
  REQUIRE(client.send("GET /ui/events HTTP/1.1\r\nhost: x\r\n" + key_line + "\r\n"));
}

}  // namespace

TEST_CASE("pages: each one is public, forbids frames, and answers only GET and HEAD", "[service][pages]") {
  proxy service{mock_settings()};
  REQUIRE(page_paths().size() == 11);
  for (const auto& path : page_paths()) {
    INFO(path);
    const auto answer = request(service.port(), "GET", path);
    CHECK(answer.status == 200);
    CHECK_FALSE(answer.body.empty());
    CHECK(answer.header("cache-control") == "no-cache");
    CHECK(answer.header("x-content-type-options") == "nosniff");
    CHECK(answer.header("referrer-policy") == "no-referrer");
    CHECK(holds(answer.header("content-security-policy"), "default-src 'self'"));
    CHECK(holds(answer.header("content-security-policy"), "frame-ancestors 'none'"));
    CHECK_FALSE(holds(answer.header("content-security-policy"), "unsafe"));
    raw_connection client{service.port()};
    REQUIRE(client.send("HEAD " + path + " HTTP/1.1\r\nhost: x\r\n\r\n" + get_health));
    const auto head = read_response(client, patience, true);
    CHECK(head.header("content-length") == std::to_string(answer.body.size()));
    CHECK(read_response(client, patience).status == 200);
    for (const auto* method : {"POST", "PUT", "DELETE"}) {
      const auto wrong = request(service.port(), method, path);
      CHECK(wrong.status == 405);
      CHECK(wrong.header("allow") == "GET, HEAD");
    }
  }
  const auto moved = request(service.port(), "GET", "/redoc");
  CHECK(moved.status == 308);
  CHECK(moved.header("location") == "/docs");
}

TEST_CASE("pages: a client that has a page gets a 304, and gzip only if it accepts that",
          "[service][pages]") {
  proxy service{mock_settings()};
  const auto plain = request(service.port(), "GET", "/openapi.json");
  CHECK_FALSE(plain.has("content-encoding"));
  CHECK(plain.body.front() == '{');
  for (const auto* takes : {"gzip", "br, gzip;q=0.5", "*", "GZIP"}) {
    INFO(takes);
    const auto packed = request(service.port(), "GET", "/openapi.json", {{"accept-encoding", takes}});
    CHECK(packed.header("content-encoding") == "gzip");
    CHECK(packed.body.size() < plain.body.size() / 5);
    CHECK(packed.header("etag") != plain.header("etag"));
    CHECK(packed.header("vary") == "accept-encoding");
  }
  for (const auto* refuses : {"br", "gzip;q=0", "*;q=0", "gzip;q=0.0, *", "identity"}) {
    INFO(refuses);
    CHECK_FALSE(request(service.port(), "GET", "/openapi.json", {{"accept-encoding", refuses}})
                    .has("content-encoding"));
  }
  raw_connection client{service.port()};
  for (const auto& has : {plain.header("etag"), "\"x\", " + plain.header("etag"), std::string{"*"}}) {
    INFO(has);
    REQUIRE(client.send("GET /openapi.json HTTP/1.1\r\nhost: x\r\nif-none-match: " + has + "\r\n\r\n"));
    const auto unchanged = read_response(client, patience);
    CHECK(unchanged.status == 304);
    CHECK(unchanged.body.empty());
    CHECK(unchanged.header("etag") == plain.header("etag"));
  }
  CHECK(request(service.port(), "GET", "/openapi.json", {{"if-none-match", "\"other\""}}).status == 200);
}

TEST_CASE("pages: with UI=false their paths are unknown", "[service][pages]") {
  auto values = mock_settings();
  values.ui = false;
  proxy service{values};
  auto paths = page_paths();
  paths.emplace_back("/redoc");
  paths.emplace_back("/ui/events");
  for (const auto& path : paths) {
    INFO(path);
    CHECK(request(service.port(), "GET", path).status == 401);
    CHECK(request(service.port(), "GET", path, with_key).status == 404);
    CHECK(request(service.port(), "POST", path, with_key).status == 404);
  }
}

TEST_CASE("openapi.json: it has every route, method and error of the code, and its version",
          "[service][pages]") {
  proxy service{mock_settings()};
  const auto document = parsed(request(service.port(), "GET", "/openapi.json").body);
  CHECK(std::string{document["openapi"].GetString()}.substr(0, 3) == "3.1");
  CHECK(document["info"]["version"].GetString() == settings{}.version);
  std::set<std::string> ours;
  for (const auto& row : all_routes()) {
    std::string path{row.path};
    if (path == "/v1/models/") path += "{id}";
    for (auto methods = std::string{row.method} + ", "; !methods.empty();) {
      const auto end = methods.find(", ");
      ours.insert(methods.substr(0, end) + ' ' + path);
      methods.erase(0, end + 2);
    }
  }
  std::set<std::string> described;
  for (const auto& path : document["paths"].GetObject()) {
    for (const auto& method : path.value.GetObject()) {
      std::string name{method.name.GetString()}, text{path.name.GetString()};
      for (auto& c : name) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
      // What is described below a row that stands for everything below its path stands for that row.
      const auto match = find_route(name, text);
      if (match.row != nullptr && match.row->path.ends_with("/*")) text = match.row->path;
      described.insert(name + ' ' + text);
    }
  }
  CHECK(described == ours);
  // A path is described as public exactly if the route table says so.
  for (const auto& path : document["paths"].GetObject()) {
    for (const auto& method : path.value.GetObject()) {
      INFO(path.name.GetString());
      const bool open = method.value.HasMember("security") && method.value["security"].Empty();
      CHECK(open == is_public_path(path.name.GetString()));
    }
  }
  std::set<std::string> codes{"budget_exceeded"};  // a code of LiteLLM, which has no errc
  for (int code = 1; code <= static_cast<int>(errc::internal); ++code) {
    const auto& row = describe(static_cast<errc>(code));
    codes.emplace(row.name);
    bool told = false;
    for (const auto& answer : document["components"]["responses"].GetObject()) {
      const auto& json = answer.value["content"]["application/json"];
      if (!json.HasMember("examples") || !json["examples"].HasMember(std::string{row.name}.c_str())) continue;
      const auto& error = json["examples"][std::string{row.name}.c_str()]["value"]["error"];
      told = error["type"].GetString() == row.type && error["message"].GetString() == row.message;
    }
    INFO(row.name);
    CHECK(told);
  }
  std::set<std::string> listed;
  for (const auto& code : document["components"]["schemas"]["ErrorCode"]["enum"].GetArray())
    listed.insert(code.GetString());
  CHECK(listed == codes);
}

TEST_CASE("ui events: they need the key", "[service][pages]") {
  proxy service{mock_settings()};
  CHECK(request(service.port(), "GET", "/ui/events").status == 401);
  CHECK(request(service.port(), "GET", "/ui/events", {{"x-internal-auth", "wrong"}}).status == 401);
  CHECK(request(service.port(), "POST", "/ui/events", with_key).status == 405);
}

TEST_CASE("ui events: they show how a request grows and that it ends, but never its content",
          "[service][pages]") {
  auto values = mock_settings();
  values.mock_chunk_delay_ms = 60ms;
  proxy service{values};
  // A watcher sees the requests of all threads, so the request is sent on each thread in turn.
  for (int round = 0; round < 2; ++round) {
    raw_connection watcher{service.port()};
    watch_events(watcher);
    event_stream events{watcher};
    REQUIRE(events.open(patience));
    CHECK(events.answer().header("content-type") == "text/event-stream");
    REQUIRE(events.next(patience));
    raw_connection idle{service.port()};  // so that the client is on another thread in the second round
    raw_connection client{service.port()};
    const std::string words =
        "sesame sesame sesame sesame sesame sesame sesame sesame sesame sesame sesame sesame";
    REQUIRE(client.send(chat_bytes(chat_body("<b>m</b>", true, words), "x-request-id: seen-1\r\n")));
    std::vector<std::string> all;
    const auto shows = [&](unsigned chunks) {
      return wait_for_snapshot(events, [&](const rapidjson::Document& now) {
        return now["active"].GetInt() == 1 && now["requests"].Size() == 1 &&
               now["requests"][0]["chunks"].GetUint() > chunks;
      });
    };
    const auto early = shows(0);
    REQUIRE(early);
    const auto request = parsed(*early);
    const auto& first = request["requests"][0];
    CHECK(std::string{first["id"].GetString()} == "seen-1");
    CHECK(std::string{first["model"].GetString()} == "<b>m</b>");
    CHECK(std::string{first["route"].GetString()} == "/v1/chat/completions");
    CHECK(std::string{first["key"].GetString()} == "default");
    CHECK(first["stream"].GetBool());
    CHECK(first["ttft"].IsNumber());
    const auto later = shows(first["chunks"].GetUint());
    REQUIRE(later);
    const auto end =
        wait_for_snapshot(events, [&](const rapidjson::Document& now) { return now["ended"].Size() == 1; });
    REQUIRE(end);
    const auto last = parsed(*end);
    CHECK(last["active"].GetInt() == 0);
    CHECK(std::string{last["ended"][0]["id"].GetString()} == "seen-1");
    CHECK(std::string{last["ended"][0]["verdict"].GetString()} == "complete");
    CHECK(last["ended"][0]["status"].GetInt() == 200);
    for (const auto& text : {*early, *later, *end}) CHECK_FALSE(holds(text, "sesame"));
    // The end is shown only once.
    const auto next = events.next(patience);
    REQUIRE(next);
    CHECK(parsed(next->data)["ended"].Empty());
  }
}

TEST_CASE("ui events: a key of the file sees only its own requests, INTERNAL_API_KEY sees all",
          "[service][pages]") {
  const keys_file file{{{"team-a", "key-a"}, {"team-b", "key-b"}}};
  auto values = mock_settings();
  values.internal_api_keys_file = file.path();
  values.mock_chunk_delay_ms = 100ms;
  proxy service{values};
  raw_connection all{service.port()}, own{service.port()};
  watch_events(all);
  REQUIRE(own.send("GET /ui/events HTTP/1.1\r\nhost: x\r\nx-api-key: key-a\r\n\r\n"));
  event_stream of_all{all}, of_own{own};
  REQUIRE(of_all.open(patience));
  REQUIRE(of_own.open(patience));
  REQUIRE(of_all.next(patience));
  REQUIRE(of_own.next(patience));
  std::vector<raw_connection> clients;
  for (const std::string key : {"key-a", "key-b", "key-b"}) {
    clients.emplace_back(service.port());
    const auto body = chat_body("m", true, "one two three four five six");
    REQUIRE(clients.back().send(
        make_request("POST", "/v1/chat/completions", {{"host", "x"}, {"x-api-key", key}}, body)));
  }
  const auto runs = [](int count) {
    return [count](const rapidjson::Document& now) { return now["active"].GetInt() == count; };
  };
  CHECK(wait_for_snapshot(of_all, runs(3)));
  const auto seen = wait_for_snapshot(of_own, runs(1));
  REQUIRE(seen);
  const auto now = parsed(*seen);
  REQUIRE(now["requests"].Size() == 1);
  CHECK(std::string{now["requests"][0]["key"].GetString()} == "team-a");
  // Watch until all requests have ended, and longer, so that the others' ends would be seen.
  const auto until = [](int ends) {
    return [ends, count = 0](const rapidjson::Document& snapshot) mutable {
      count += static_cast<int>(snapshot["ended"].Size());
      return count == ends && snapshot["active"].GetInt() == 0;
    };
  };
  CHECK(wait_for_snapshot(of_all, until(3)));
  const auto deadline = test_clock::now() + 700ms;
  int ended = 0;
  while (test_clock::now() < deadline) {
    const auto event = of_own.next(patience);
    REQUIRE(event);
    CHECK_FALSE(holds(event->data, "team-b"));
    ended += static_cast<int>(parsed(event->data)["ended"].Size());
  }
  CHECK(ended <= 1);
}

TEST_CASE("ui events: a key of the file does not see the upstreams", "[service][pages]") {
  scripted_upstream up;
  const keys_file file{{{"team-a", "key-a"}, {"default", "key-of-default"}}};
  auto values = litellm_settings(up.url());
  values.internal_api_keys_file = file.path();
  proxy service{values};
  for (const std::string& key :
       {std::string{test_key}, std::string{"key-a"}, std::string{"key-of-default"}}) {
    raw_connection watcher{service.port()};
    REQUIRE(watcher.send("GET /ui/events HTTP/1.1\r\nhost: x\r\nx-api-key: " + key + "\r\n\r\n"));
    event_stream events{watcher};
    REQUIRE(events.open(patience));
    const auto event = events.next(patience);
    REQUIRE(event);
    CHECK(parsed(event->data)["upstreams"].Size() == (key == test_key ? 1U : 0U));
  }
}

TEST_CASE("ui events: they do not count for the limits on requests, and end cleanly with the service",
          "[service][pages]") {
  auto values = mock_settings();
  values.max_concurrent_requests = 1;
  proxy service{values};
  raw_connection watcher{service.port()};
  watch_events(watcher);
  event_stream events{watcher};
  REQUIRE(events.open(patience));
  CHECK(chat(service, chat_body("m")).status == 200);
  auto drained = std::async(std::launch::async, [&] { return service.drain_connections(5s); });
  events.rest(patience);
  CHECK(events.answer().complete);
  CHECK(drained.get());
}

TEST_CASE("ui events: a client that does not read, and one that leaves, leave nothing behind",
          "[service][pages]") {
  proxy service{mock_settings()};
  for (int i = 0; i < 20; ++i) {
    raw_connection watcher{service.port()};
    watch_events(watcher);
    if (i % 2 == 0) REQUIRE(watcher.read_until("\n\n", patience).end == read_end::done);
  }
  raw_connection deaf{service.port()};
  watch_events(deaf);
  // A connection that is told to drain in the middle of its answer lingers for 2 s, if its client stays.
  CHECK(service.drain_connections(5s));
}

}  // namespace llm_proxy::test
