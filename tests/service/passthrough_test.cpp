// Answers without a body on every route, and what PASSTHROUGH_PATHS need: ranges, conditional requests, HEAD.
#include "support/catch.hpp"
#include "support/upstream_chat.hpp"

#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace llm_proxy::test {

namespace {

using namespace std::chrono_literals;

settings with_skills(const std::string& url) {
  auto values = litellm_settings(url);
  values.passthrough_paths = {"/v1/skills"};
  return values;
}

/// Returns a script that gives this answer to all requests except those for the model list.
upstream_script always(std::function<void(upstream_reply&)> answer) {
  return [answer = std::move(answer)](const upstream_request& req, upstream_reply& reply) {
    if (contains(req.target, "/models") || contains(req.target, "/model/info")) {
      reply.json(200, R"({"data":[]})");
    } else {
      answer(reply);
    }
  };
}

/// The answers to two requests on one connection. What comes between their heads is the first one's body.
struct pair_of_answers {
  std::string first_head;
  std::string between;
};

pair_of_answers ask_twice(const proxy& service, const std::string& method, const std::string& path,
                          header_list more = {}, const std::string& version = "HTTP/1.1") {
  raw_connection client{service.port()};
  more.push_back(key_field);
  std::string text = method + " " + path + " " + version + "\r\nhost: x\r\nconnection: keep-alive\r\n";
  for (const auto& [name, value] : more) text += name + ": " + value + "\r\n";
  client.send(text + "\r\n");
  pair_of_answers all;
  all.first_head = client.read_until("\r\n\r\n", 5s).bytes;
  client.send("GET /health HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
  const auto rest = client.read_to_end(5s).bytes;
  all.between = rest.substr(0, rest.find("HTTP/1.1 200 OK\r\n"));
  if (!contains(rest, R"("status":"healthy")")) all.between += " and no second answer";
  return all;
}

upstream_request last_of(const scripted_upstream& up) {
  auto all = up.requests();
  std::erase_if(all, [](const auto& req) { return contains(req.target, "/model"); });
  return all.empty() ? upstream_request{} : all.back();
}

}  // namespace

TEST_CASE("no body: a 204, a 304 and the answer to HEAD end with their head, on every route",
          "[service][upstream][bodiless]") {
  scripted_upstream up;
  proxy service{with_skills(up.url())};
  struct row {
    std::string name, method, path;
    std::function<void(upstream_reply&)> answer;
    int status;
    std::string length;  // the content-length; empty if there must be none
    header_list more = {};
  };
  const auto no_content = [](upstream_reply& reply) { reply.head(204); };
  const auto not_modified = [](upstream_reply& reply) { reply.head(304, {{"etag", "\"e\""}}); };
  const header_list condition{{"if-none-match", "\"e\""}};
  for (const auto& each :
       std::vector<row>{{"passed through", "DELETE", "/v1/skills/f", no_content, 204, ""},
                        {"passed through, any method", "GET", "/v1/skills/f", no_content, 204, ""},
                        {"a JSON route", "DELETE", "/v1/responses/r", no_content, 204, ""},
                        {"with an untrue length", "DELETE", "/v1/skills/f",
                         [](upstream_reply& reply) {
                           reply.head(204, {{"content-length", "0"}});
                         },
                         204, ""},
                        {"with an untrue coding", "DELETE", "/v1/responses/r",
                         [](upstream_reply& reply) {
                           reply.head(204, {{"transfer-encoding", "chunked"}});
                         },
                         204, ""},
                        {"a 304", "GET", "/v1/skills/f", not_modified, 304, "", condition},
                        {"a 304 that tells the length of the 200", "GET", "/v1/skills/f",
                         [](upstream_reply& reply) {
                           reply.head(304, {{"content-length", "1234"}});
                         },
                         304, "1234", condition},
                        {"HEAD", "HEAD", "/v1/skills/f",
                         [](upstream_reply& reply) {
                           reply.head(200, {{"content-length", "1234"}});
                         },
                         200, "1234"},
                        {"HEAD without a length", "HEAD", "/v1/skills/f",
                         [](upstream_reply& reply) {
                           reply.head(200, {{"transfer-encoding", "chunked"}});
                         },
                         200, ""},
                        {"HEAD, 404", "HEAD", "/v1/skills/f",
                         [](upstream_reply& reply) {
                           reply.head(404, {{"content-length", "77"}});
                         },
                         404, ""},
                        {"HEAD for a GET route", "HEAD", "/v1/responses/r",
                         [](upstream_reply& reply) { reply.json(200, R"({"id":"r"})"); }, 200, "10"},
                        {"HEAD of the service's own", "HEAD", "/v1/models", no_content, 200, "*"},
                        {"HEAD of a page", "HEAD", "/docs", no_content, 200, "*"},
                        {"HEAD of what is not there", "HEAD", "/nowhere", no_content, 404, "*"}}) {
    up.set_script(always(each.answer));
    for (const auto* version : {"HTTP/1.1", "HTTP/1.0"}) {
      INFO(each.name << ", " << version);
      const auto got = ask_twice(service, each.method, each.path, each.more, version);
      INFO(got.first_head);
      CHECK(got.between.empty());
      CHECK(got.first_head.starts_with("HTTP/1.1 " + std::to_string(each.status) + " "));
      CHECK_FALSE(contains(got.first_head, "transfer-encoding"));
      if (each.length.empty()) CHECK_FALSE(contains(got.first_head, "content-length"));
      if (!each.length.empty() && each.length != "*")
        CHECK(contains(got.first_head, "\r\ncontent-length: " + each.length + "\r\n"));
      if (each.status == 204) CHECK_FALSE(contains(got.first_head, "content-type"));
      if (std::string_view{version} == "HTTP/1.1") CHECK_FALSE(contains(got.first_head, "connection: close"));
    }
  }
}

TEST_CASE("passed-through paths: ranges and conditions reach upstream, and content headers reach the client",
          "[service][upstream][passthrough]") {
  scripted_upstream up;
  proxy service{with_skills(up.url())};
  const header_list asked{{"range", "bytes=0-3"},
                          {"if-range", "\"e\""},
                          {"if-match", "\"a\""},
                          {"if-none-match", "\"b\""},
                          {"if-modified-since", "Mon, 01 Jan 2024 00:00:00 GMT"},
                          {"if-unmodified-since", "Tue, 02 Jan 2024 00:00:00 GMT"}};
  const header_list told{{"content-range", "bytes 0-3/10"},
                         {"accept-ranges", "bytes"},
                         {"content-disposition", "attachment; filename=a"},
                         {"etag", "\"e\""},
                         {"last-modified", "Mon, 01 Jan 2024 00:00:00 GMT"},
                         {"digest", "sha-256=x"},
                         {"link", "</v1/skills?after=a>; rel=\"next\""}};
  const auto ask = [&](const std::string& path, const std::string& method = "GET") {
    auto fields = asked;
    fields.push_back(key_field);
    return request(service.port(), method, path, fields);
  };
  for (const int status : {200, 206, 304, 412, 416}) {
    INFO(status);
    // The status is captured by value, because the last answer's script may still run in the next round.
    up.set_script(always([&told, status](upstream_reply& reply) {
      auto fields = told;
      fields.emplace_back("content-type", "application/json");
      if (status != 304) fields.emplace_back("content-length", "4");
      reply.head(status, fields);
      if (status != 304) reply.send("{  }");
    }));
    const auto answer = ask("/v1/skills/f");
    CHECK(answer.status == status);
    CHECK(answer.complete);
    if (status != 304) {
      CHECK(answer.body == "{  }");
      CHECK(answer.header("content-length") == "4");
    }
    for (const auto& [name, value] : told) CHECK(answer.header(name) == value);
    const auto got = last_of(up);
    for (const auto& [name, value] : asked) CHECK(got.header(name) == value);
  }
  // On a route to a model these headers have no meaning and are not passed on.
  up.set_script(always([&](upstream_reply& reply) { reply.json(200, R"({"id":"r"})", told); }));
  const auto answer = ask("/v1/responses/r");
  CHECK(answer.status == 200);
  for (const auto& [name, value] : told) CHECK_FALSE(answer.has(name));
  for (const auto& [name, value] : asked) CHECK_FALSE(last_of(up).has(name));
  // A 304 is no valid answer if the request that reached upstream had no condition.
  up.set_script(always([](upstream_reply& reply) { reply.head(304); }));
  CHECK(request(service.port(), "GET", "/v1/skills/f", {key_field}).status == 502);
  CHECK(ask("/v1/responses/r").status == 502);
}

TEST_CASE("passed-through paths: HEAD reaches upstream as HEAD, and its connection is used again",
          "[service][upstream][passthrough]") {
  scripted_upstream up{always([](upstream_reply& reply) {
    reply.head(200, {{"content-type", "application/pdf"}, {"content-length", "123456"}, {"etag", "\"e\""}});
  })};
  auto values = with_skills(up.url());
  values.threads = 1;
  proxy service{values};
  REQUIRE(get(service, "/v1/models").status == 200);
  for (int i = 0; i < 3; ++i) {
    raw_connection client{service.port()};
    client.send(make_request("HEAD", "/v1/skills/f?a=b", {{"host", "x"}, key_field}));
    const auto answer = read_response(client, 5s, true);
    CHECK(answer.status == 200);
    CHECK(answer.header("content-length") == "123456");
    CHECK(answer.header("content-type") == "application/pdf");
    CHECK(answer.header("etag") == "\"e\"");
    const auto got = last_of(up);
    CHECK(got.method == "HEAD");
    CHECK(got.target == "/v1/skills/f?a=b");
    CHECK_FALSE(got.has("content-length"));
  }
  CHECK(up.accepted() == 1);
  // On a route that names GET, a HEAD goes upstream as a GET.
  up.set_script(always([](upstream_reply& reply) { reply.json(200, R"({"id":"r"})"); }));
  CHECK(request(service.port(), "HEAD", "/v1/responses/r", {key_field}).status == 200);
  CHECK(last_of(up).method == "GET");
}

TEST_CASE("headers: credentials, cookies, addresses and CORS permissions are passed on by no route",
          "[service][upstream][passthrough]") {
  scripted_upstream up;
  proxy service{with_skills(up.url())};
  const auto address = "127.0.0.1:" + std::to_string(up.port());
  const header_list down{{"set-cookie", "a=b"},
                         {"cookie", "a=b"},
                         {"authorization", "Bearer secret"},
                         {"location", up.url("/v1/skills/g")},
                         {"link", "<" + up.url("/v1/skills?after=a") + ">; rel=\"next\""},
                         {"access-control-allow-origin", "*"},
                         {"access-control-allow-credentials", "true"},
                         {"proxy-authenticate", "Basic"},
                         {"upgrade", "h2c"}};
  const header_list up_names{{"cookie", "a=b"},
                             {"set-cookie", "a=b"},
                             {"access-control-request-method", "POST"},
                             {"proxy-authorization", "Basic x"},
                             {"location", "/x"},
                             {"te", "trailers"}};
  for (const auto* path : {"/v1/skills/f", "/v1/responses/r"}) {
    for (const int status : {200, 404}) {
      INFO(path << ' ' << status);
      up.set_script(always([&](upstream_reply& reply) { reply.json(status, R"({"id":"r"})", down); }));
      auto fields = up_names;
      fields.push_back(key_field);
      const auto answer = request(service.port(), "GET", path, fields);
      CHECK(answer.status == status);
      for (const auto& [name, value] : down) CHECK_FALSE(answer.has(name));
      CHECK_FALSE(contains(answer.head, address));
      const auto got = last_of(up);
      for (const auto& [name, value] : up_names) CHECK_FALSE(got.has(name));
      CHECK(got.header("authorization") == "Bearer upstream-key");
    }
  }
}

TEST_CASE("headers: fields that Connection names are forwarded in neither direction, on any route",
          "[service][upstream][passthrough]") {
  scripted_upstream up;
  auto values = with_skills(up.url());
  values.forward_headers = {"x-team", "x-hop"};
  proxy service{values};
  up.set_script(always([](upstream_reply& reply) {
    reply.json(200, R"({"id":"r"})",
               {{"connection", "x-ratelimit-hop, Keep-Alive"},
                {"x-ratelimit-hop", "1"},
                {"x-ratelimit-end", "2"},
                {"etag", "\"e\""}});
  }));
  for (const auto* path : {"/v1/skills/f", "/v1/responses/r"}) {
    INFO(path);
    const auto answer = request(service.port(), "GET", path,
                                {key_field,
                                 {"Connection", "X-Hop , user-agent"},
                                 {"x-hop", "1"},
                                 {"x-team", "2"},
                                 {"user-agent", "mine"},
                                 {"openai-beta", "b"}});
    CHECK(answer.status == 200);
    CHECK_FALSE(answer.has("x-ratelimit-hop"));
    CHECK(answer.header("x-ratelimit-end") == "2");
    const auto got = last_of(up);
    CHECK_FALSE(got.has("x-hop"));
    CHECK_FALSE(got.has("user-agent"));
    CHECK(got.header("x-team") == "2");
    CHECK(got.header("openai-beta") == "b");
  }
}

}  // namespace llm_proxy::test
