#include "http/request/route.hpp"

#include "support/catch.hpp"

namespace llm_proxy {

TEST_CASE("route: each row is found by method and path, HEAD with GET", "[unit][route]") {
  for (const auto* method : {"GET", "HEAD"}) {
    CHECK(find_route(method, "/health").target == endpoint::health);
    CHECK(find_route(method, "/v1/models").target == endpoint::models);
    CHECK(find_route(method, "/v1/llm/models").target == endpoint::llm_models);
    CHECK(find_route(method, "/v1/models/a").target == endpoint::model);
  }
  CHECK(find_route("POST", "/v1/chat/completions").target == endpoint::upstream);
}

TEST_CASE("route: a known path with another method says which it takes", "[unit][route]") {
  const auto wrong = find_route("POST", "/health");
  CHECK(wrong.target == endpoint::wrong_method);
  CHECK(wrong.detail == "GET, HEAD");
  for (const auto* method : {"GET", "HEAD", "PUT", "OPTIONS"}) {
    const auto match = find_route(method, "/v1/chat/completions");
    CHECK(match.target == endpoint::wrong_method);
    CHECK(match.detail == "POST");
  }
}

TEST_CASE("route: other paths have no route", "[unit][route]") {
  for (const auto* path : {"", "*", "/health/", "/Health", "/v1/models/", "/v1/model",
                           "/v1/chat/completions/", "/v1/chat/completions/x", "x:443", "//health"}) {
    INFO(path);
    CHECK(find_route("GET", path).target == endpoint::none);
    CHECK(find_route("POST", path).target == endpoint::none);
  }
}

TEST_CASE("route: a model's id is the rest of the path, percent-decoded once", "[unit][route]") {
  const auto id = [](std::string_view rest) {
    return find_route("GET", "/v1/models/" + std::string{rest}).detail;
  };
  CHECK(id("gpt-4") == "gpt-4");
  CHECK(id("vendor/model/1") == "vendor/model/1");
  CHECK(id("vendor%2Fmodel%2f1") == "vendor/model/1");
  CHECK(id("a%20b+c") == "a b+c");
  CHECK(id("%2525") == "%25");
  CHECK(id("%C3%A4") == "\xc3\xa4");
  CHECK(id("%00") == std::string(1, '\0'));
  for (const auto* no_escape : {"%", "%4", "%g0", "%0g", "100%"}) CHECK(id(no_escape) == no_escape);
}

TEST_CASE("route: aliases of a path are sent upstream as the path it knows", "[unit][route]") {
  for (const auto* path : {"/v1/chat/completions", "/chat/completions", "/v1/llm/chat/completions"}) {
    CHECK(find_route("POST", path).path == "/v1/chat/completions");
  }
  CHECK(find_route("POST", "/v1/embeddings").path == "/v1/embeddings");
}

TEST_CASE("route: every path below /v1 is also found without it and is sent upstream with it",
          "[unit][route]") {
  for (const auto& row : all_routes()) {
    if (!row.path.starts_with("/v1/")) continue;
    INFO(row.path);
    auto path = std::string{row.path};
    if (path.back() == '/') path += "an-id";
    if (const auto at = path.find("{id}"); at != std::string::npos) path.replace(at, 4, "an-id");
    if (path.ends_with("/*")) path.replace(path.size() - 1, 1, "an-id/content");
    const auto method = std::string{row.method.substr(0, row.method.find(','))};
    const auto whole = find_route(method, path);
    const auto shorter = path.substr(3);
    const auto match = find_route(method, shorter);
    CHECK(match.target == whole.target);
    CHECK(match.detail == whole.detail);
    CHECK(std::string{match.version}.append(match.path) == whole.path);
    CHECK(find_route("PATCH", shorter).detail == find_route("PATCH", path).detail);
    CHECK(speaks_anthropic(shorter) == speaks_anthropic(path));
    CHECK_FALSE(is_public_path(shorter));
  }
  CHECK(find_route("GET", "/responses/..").target == endpoint::none);
  CHECK(find_route("GET", "/v1/health").target == endpoint::none);
  CHECK(find_route("GET", "/").target == endpoint::page);
  CHECK(find_route("GET", "/", {}, false).target == endpoint::none);
}

TEST_CASE("route: a row of one's own comes before the table's paths without /v1, an operator's prefix after",
          "[unit][route]") {
  const std::vector<route> own{{.method = "POST", .path = "/embeddings", .target = endpoint::own}};
  CHECK(find_route("POST", "/embeddings", {}, true, own).target == endpoint::own);
  CHECK(find_route("POST", "/v1/embeddings", {}, true, own).target == endpoint::upstream);
  const std::vector<std::string> passed{"/rerank"};
  CHECK(find_route("POST", "/rerank", passed).version == "/v1");
  const auto said = judge_passthrough("/rerank");
  CHECK(said.is_warning);
  CHECK(said.reason.find("no effect") != std::string_view::npos);
  CHECK(judge_passthrough("/audio").reason.empty());
}

TEST_CASE("route: a path with /v1 twice is no path, and the reason is known", "[unit][route]") {
  for (const auto* path : {"/v1/v1/messages", "/v1/v1/chat/completions", "/v1/v1/models"}) {
    INFO(path);
    CHECK(find_route("POST", path).target == endpoint::none);
    CHECK(explain_not_found(path).find("base URL") != std::string_view::npos);
  }
  CHECK(speaks_anthropic("/v1/v1/messages"));
  for (const auto* path : {"/v1/other", "/v1", "/v1/v1", "/messages"}) CHECK(explain_not_found(path).empty());
}

TEST_CASE("route: an id is one segment that no server can read as another path", "[unit][route]") {
  const auto* row = find_route("GET", "/v1/responses/resp_1").row;
  REQUIRE(row != nullptr);
  CHECK(row->body == body_kind::none);
  CHECK(find_route("DELETE", "/v1/responses/resp_1").target == endpoint::upstream);
  CHECK(find_route("POST", "/v1/responses/resp_1/cancel").path == "/v1/responses/resp_1/cancel");
  CHECK(find_route("POST", "/v1/responses/resp_1").detail == "GET, HEAD, DELETE");
  for (const auto* path : {"/v1/responses/", "/v1/responses/..", "/v1/responses/.", "/v1/responses/%2e%2e",
                           "/v1/responses/a%2Fb", "/v1/responses/..%2f..%2fkey", "/v1/responses/%252e%252e",
                           "/v1/responses/a%5cb", "/v1/responses/a/b", "/v1/responses/a/../../key/generate",
                           "/v1/responses/a%252fb", "/v1/responses/a%00b", "/v1/responses/a;b"}) {
    INFO(path);
    CHECK(find_route("GET", path).target == endpoint::none);
  }
}

TEST_CASE("route: what is stored is found with everything below it, by its methods alone", "[unit][route]") {
  struct row {
    std::string_view path, allow;
    route_group group;
  };
  constexpr std::string_view all = "GET, HEAD, POST, DELETE", no_delete = "GET, HEAD, POST";
  for (const auto& [path, allow, group] : {
           row{"/v1/files", all, route_group::files},
           row{"/v1/files/f/content", all, route_group::files},
           row{"/v1/batches/b/cancel", no_delete, route_group::batches},
           row{"/v1/messages/batches", all, route_group::batches},
           row{"/v1/messages/batches/b/results", all, route_group::batches},
           row{"/v1/vector_stores", all, route_group::vector_stores},
           row{"/v1/vector_stores/v/files/f/content", all, route_group::vector_stores},
           row{"/v1/conversations/c/items/i", all, route_group::conversations},
           row{"/v1/fine_tuning/jobs/j/events", no_delete, route_group::fine_tuning},
           row{"/v1/containers/c/files/f/content", all, route_group::containers},
           row{"/v1/videos/v/remix", all, route_group::videos},
           row{"/v1/evals/e/runs/r/output_items/o", all, route_group::evals},
       }) {
    INFO(path);
    for (const auto* method : {"GET", "HEAD", "POST", "DELETE"}) {
      const auto match = find_route(method, path);
      const bool takes = allow.find(method) != std::string_view::npos;
      CHECK(match.target == (takes ? endpoint::upstream : endpoint::wrong_method));
      if (!takes) continue;
      CHECK(match.path == path);
      CHECK(match.row->group == group);
      CHECK(match.row->headers == header_policy::resource);
      CHECK_FALSE(usual_groups().contains(group));
      if (std::string_view{method} != "POST") CHECK_FALSE(is_rated(*match.row, method));
    }
    const auto wrong = find_route("PUT", path);
    CHECK(wrong.target == endpoint::wrong_method);
    CHECK(wrong.detail == allow);
  }
  for (const auto* path :
       {"/v1/files/", "/v1/files//f", "/v1/files/../../key/generate", "/v1/files/%2e%2e/%2e%2e/key/generate",
        "/v1/files/f%2fcontent", "/v1/files/%252e%252e/key", "/v1/filesystem", "/v1/files;x", "/v1/files/a;b",
        "/v1/fine_tuning", "/v1/messages/batch", "/v1/realtime", "/v1/search/a/b", "/v1/assistants",
        "/v1/threads", "/v1/vector_store/new"}) {
    INFO(path);
    CHECK(find_route("GET", path).target == endpoint::none);
  }
  CHECK(speaks_anthropic("/v1/messages/batches/b"));
}

TEST_CASE("route: each row for upstream has a group, what is stored none of the usual ones",
          "[unit][route]") {
  for (const auto& row : all_routes()) {
    INFO(row.path);
    CHECK((row.group != route_group::none) ==
          (row.target == endpoint::upstream || row.target == endpoint::websocket));
    if (row.headers == header_policy::resource) CHECK_FALSE(usual_groups().contains(row.group));
  }
}

TEST_CASE("route: only a POST that asks a model is rated, and all that nobody knows", "[unit][route]") {
  const auto rated = [](std::string_view method, std::string_view path) {
    const auto match = find_route(method, path, {"/v1/skills"});
    return match.row != nullptr && is_rated(*match.row, method);
  };
  for (const auto* path : {"/v1/chat/completions", "/v1/batches", "/v1/videos", "/v1/fine_tuning/jobs",
                           "/v1/messages/batches", "/v1/evals/e/runs", "/v1/realtime/client_secrets"})
    CHECK(rated("POST", path));
  for (const auto* path : {"/v1/files", "/v1/vector_stores/v/search", "/v1/conversations", "/v1/containers",
                           "/v1/responses/input_tokens", "/v1/messages/count_tokens"})
    CHECK_FALSE(rated("POST", path));
  for (const auto* path : {"/v1/responses/r", "/v1/responses/r/input_items", "/v1/videos/v", "/v1/batches"}) {
    CHECK_FALSE(rated("GET", path));
    CHECK_FALSE(rated("HEAD", path));
  }
  CHECK(rated("GET", "/v1/skills"));
  const route own{.method = "PUT", .path = "/v1/own", .target = endpoint::upstream, .body = body_kind::any};
  CHECK(is_rated(own, "PUT"));
  CHECK_FALSE(only_reads_or_deletes(own, "PUT"));
}

TEST_CASE("route: the operator's prefixes pass, LiteLLM's management never does", "[unit][route]") {
  const std::vector<std::string> some{"/v1/skills", "/gemini", "/v1"};
  for (const auto* path :
       {"/v1/skills", "/v1/skills/skill-1/content", "/gemini/v1beta/models/x:generateContent"}) {
    INFO(path);
    const auto match = find_route("GET", path, some);
    CHECK(match.target == endpoint::upstream);
    CHECK(match.path == path);
    CHECK(find_route("GET", path).target == endpoint::none);
  }
  for (const auto* path :
       {"/v1filesystem", "/geminis", "/gemini/../key/generate", "/gemini/%2e%2e/key/generate", "/gemini//x",
        "/gemini/", "/v1/model/info", "/v1/Key/generate", "/v1/%6bey/generate", "/v1/mcp/server",
        "/v2/key/info", "/key/generate"}) {
    INFO(path);
    CHECK(find_route("POST", path, some).target == endpoint::none);
  }
  CHECK(find_route("TRACE", "/v1/skills", some).target == endpoint::none);
  // A prefix does not change the rows of the table.
  CHECK(find_route("GET", "/v1/embeddings", some).target == endpoint::wrong_method);
  CHECK(judge_passthrough("/v1/skills").reason.empty());
  for (const auto* prefix : {"/", "", "v1", "/key", "/v1/key", "/KEY/x", "/config", "/team/", "/a/../b",
                             "/a//b", "/a%2e", "/model"}) {
    INFO(prefix);
    const auto said = judge_passthrough(prefix);
    CHECK_FALSE(said.reason.empty());
    CHECK_FALSE(said.is_warning);
  }
}

TEST_CASE("route: a prefix that would have no effect is refused, a parent of others is not",
          "[unit][route]") {
  for (const auto* prefix : {"/v1/responses/compact", "/v1/embeddings", "/v1/chat/completions",
                             "/v1/models/gpt", "/v1/responses/r/cancel", "/v1/messages/count_tokens"}) {
    INFO(prefix);
    const auto said = judge_passthrough(prefix);
    CHECK(said.reason.find("no effect") != std::string_view::npos);
    CHECK_FALSE(said.is_warning);
  }
  for (const auto* prefix :
       {"/v1", "/v1/responses", "/v1/messages", "/v1/audio", "/v1/images", "/v1/embeddings/x", "/gemini"}) {
    INFO(prefix);
    CHECK(judge_passthrough(prefix).reason.empty());
  }
  CHECK(judge_passthrough("/v1/responses/r/input_items").is_warning);
  for (const auto* prefix : {"/v1/files", "/v1/files/f/content", "/files", "/v1/messages/batches",
                             "/v1/videos", "/v1/realtime/client_secrets", "/v1/fine_tuning/jobs"}) {
    INFO(prefix);
    const auto stored = judge_passthrough(prefix);
    CHECK(stored.is_warning);
    CHECK(stored.reason.find("\"routes\"") != std::string_view::npos);
  }
  const auto usual = judge_passthrough("/v1/ocr");
  CHECK(usual.is_warning);
  CHECK(usual.reason.find("routes") == std::string_view::npos);
  // Before the version that builds a route in, the prefix had an effect. So it is only a warning.
  std::vector<route> table{{.method = "POST", .path = "/v1/files", .is_new = true}};
  const auto said = judge_passthrough("/v1/files", table);
  CHECK_FALSE(said.reason.empty());
  CHECK(said.is_warning);
}

TEST_CASE("route: only health and the pages are public", "[unit][route]") {
  for (const auto* path : {"/health", "/health/live", "/health/ready"}) {
    CHECK(is_public_path(path));
    CHECK(is_public_path(path, {false, false}));
  }
  for (const auto* path : {"/", "/ui", "/docs", "/redoc", "/openapi.json", "/favicon.ico"}) {
    CHECK(is_public_path(path));
    CHECK_FALSE(is_public_path(path, {false, false}));
    CHECK(find_route("GET", path).target == endpoint::page);
    CHECK(find_route("GET", path, {}, false).target == endpoint::none);
    CHECK(find_route("POST", path, {}, false).target == endpoint::none);
  }
  for (const auto* path : {"", "/ui/events", "/ui/", "/docs/", "/health/", "/health/x", "/health/ready/",
                           "/healthz", "/v1/models"})
    CHECK_FALSE(is_public_path(path));
  CHECK_FALSE(is_public_path("/metrics"));
  CHECK(is_public_path("/metrics", {true, true}));
  CHECK_FALSE(is_public_path("/docs", admin_paths));
}

}  // namespace llm_proxy
