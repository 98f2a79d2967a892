#include "actors/session/intake.hpp"

#include "support/catch.hpp"

#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace llm_proxy {

namespace {

request_head head_with(std::initializer_list<std::pair<std::string_view, std::string_view>> fields = {}) {
  request_head head;
  head.method = "POST";
  head.target = "/v1/chat/completions";
  for (const auto& [name, value] : fields) head.headers.add(name, value);
  return head;
}

errc code_of(const std::optional<failure>& reason) {
  return reason ? reason->code : errc::none;
}

key_rules key_for(std::vector<std::string> models) {
  key_rules key;
  key.models = std::move(models);
  return key;
}

const route& chat_route() {
  return *find_route("POST", "/v1/chat/completions").row;
}

std::variant<body_plan, refused_body> planned(std::string body, const key_rules& key = {},
                                              bool wants_usage = false) {
  return plan_body(chat_route(), key, "/v1/chat/completions", nullptr, wants_usage, body);
}

errc refusal(const std::variant<body_plan, refused_body>& judged) {
  const auto* refused = std::get_if<refused_body>(&judged);
  return refused != nullptr ? refused->reason.code : errc::none;
}

}  // namespace

TEST_CASE("intake: a head is refused if its route does not accept it", "[unit][intake]") {
  const auto check = [](const request_head& head, body_kind body = body_kind::json) {
    return code_of(check_head(head, body, 100));
  };
  CHECK(check(head_with()) == errc::none);
  CHECK(check(head_with({{"content-type", "application/json; charset=utf-8"}})) == errc::none);
  CHECK(check(head_with({{"content-type", "text/plain"}})) == errc::unsupported_media_type);
  CHECK(check(head_with({{"content-encoding", "gzip"}})) == errc::unsupported_encoding);
  CHECK(check(head_with({{"content-encoding", " Identity "}})) == errc::none);
  CHECK(check(head_with({{"content-encoding", "identity"}, {"content-encoding", "gzip"}})) ==
        errc::unsupported_encoding);
  CHECK(check(head_with({{"expect", "200-ok"}})) == errc::expectation_failed);
  CHECK(check(head_with(), body_kind::multipart) == errc::unsupported_media_type);
  CHECK(check(head_with({{"content-type", "multipart/form-data"}}), body_kind::multipart) ==
        errc::bad_request);
  CHECK(check(head_with({{"content-type", "multipart/form-data; boundary=b"}}), body_kind::multipart) ==
        errc::none);
  // A route that takes no body ignores the encoding.
  CHECK(check(head_with({{"content-encoding", "gzip"}}), body_kind::none) == errc::none);
  auto large = head_with();
  large.content_length = 100;
  CHECK(check(large) == errc::none);
  large.content_length = 101;
  CHECK(check(large) == errc::body_too_large);
}

TEST_CASE("intake: a client may shorten the time of its request, with one whole number", "[unit][intake]") {
  using std::chrono::milliseconds;
  const auto read = [](std::string_view value, milliseconds ours) {
    return read_time_limit(head_with({{"x-request-timeout-ms", value}}), ours);
  };
  const auto limit = [&](std::string_view value, milliseconds ours) {
    return *std::get<std::optional<time_limit>>(read(value, ours));
  };
  CHECK_FALSE(std::get<std::optional<time_limit>>(read_time_limit(head_with(), milliseconds{5})));
  CHECK(limit("50", milliseconds{0}).allowed == milliseconds{50});
  CHECK(limit("50", milliseconds{0}).is_shortened);
  CHECK(limit(" 50 ", milliseconds{100}).allowed == milliseconds{50});
  CHECK(limit("100", milliseconds{100}).allowed == milliseconds{100});
  CHECK_FALSE(limit("100", milliseconds{100}).is_shortened);
  CHECK(limit("200", milliseconds{100}).allowed == milliseconds{100});
  for (const char* bad : {"", "0", "-1", "1.5", "5s", "99999999999", "9999999999999999999999", "5 5"}) {
    INFO(bad);
    const auto fault = read(bad, milliseconds{0});
    REQUIRE(std::holds_alternative<failure>(fault));
    CHECK(std::get<failure>(fault).code == errc::bad_request);
    CHECK(std::get<failure>(fault).param == "x-request-timeout-ms");
  }
  const auto twice = head_with({{"x-request-timeout-ms", "5"}, {"x-request-timeout-ms", "5"}});
  CHECK(std::holds_alternative<failure>(read_time_limit(twice, milliseconds{0})));
}

TEST_CASE("intake: a key with a list of models is held to it, wherever a request names a model",
          "[unit][intake]") {
  const auto any = key_for({}), some = key_for({"gpt-4*"});
  const auto form = [](const key_rules& key, const std::string& method, const std::string& target,
                       const std::vector<std::string>& passed = {}) {
    auto head = head_with();
    head.method = method;
    head.target = target;
    const auto match = find_route(method, head.path(), passed);
    REQUIRE(match.row != nullptr);
    return code_of(check_form(key, *match.row, head));
  };
  for (const auto* path : {"/v1/audio/transcriptions", "/v1/files", "/v1/batches", "/v1/videos", "/v1/evals",
                           "/v1/messages/batches", "/v1/realtime/client_secrets", "/v1/containers",
                           "/v1/realtime/transcription_sessions", "/v1/images/variations"}) {
    INFO(path);
    CHECK(form(any, "POST", path) == errc::none);
    CHECK(form(some, "POST", path) == errc::model_not_allowed);
  }
  for (const auto* path : {"/v1/chat/completions", "/v1/conversations", "/v1/vector_stores/v/search",
                           "/v1/fine_tuning/jobs", "/v1/search", "/v1/ocr"})
    CHECK(form(some, "POST", path) == errc::none);
  // To read or delete what is stored asks no model, unless the query names one.
  for (const auto* method : {"GET", "HEAD", "DELETE"}) {
    CHECK(form(some, method, "/v1/files/f") == errc::none);
    CHECK(form(some, method, "/v1/files/f?model=a") == errc::model_not_allowed);
    CHECK(form(some, method, "/v1/skills/f", {"/v1/skills"}) == errc::model_not_allowed);
  }
  CHECK(form(some, "GET", "/v1/files?target_model_names=a") == errc::model_not_allowed);
  CHECK(code_of(check_model_beside(some, "/v1/x?model=a", {})) == errc::model_not_allowed);
  CHECK(code_of(check_model_beside(some, "/v1/x", "fallbacks")) == errc::model_not_allowed);
  CHECK(check_model_beside(some, "/v1/x", "fallbacks")->param == "fallbacks");
  CHECK(code_of(check_model_beside(some, "/v1/x", {})) == errc::none);
  CHECK(code_of(check_model_beside(any, "/v1/x?model=a", "fallbacks")) == errc::none);
  CHECK(code_of(check_model(some, "gpt-4o", "gpt-4o")) == errc::none);
  CHECK(code_of(check_model(some, "fast", "gpt-4o")) == errc::none);
  CHECK(code_of(check_model(some, "fast", "claude")) == errc::model_not_allowed);
  CHECK(code_of(check_model(any, "fast", "claude")) == errc::none);
}

TEST_CASE("intake: a body becomes a plan, or is refused by its route's rules and its key's",
          "[unit][intake]") {
  const std::string body = R"({"model":"gpt-4o","messages":[],"stream":true})";
  const auto plan = std::get<body_plan>(planned(body));
  CHECK(plan.model == "gpt-4o");
  CHECK(plan.stream);
  CHECK_FALSE(plan.adds_usage);
  CHECK(body.substr(plan.model_at.begin, plan.model_at.end - plan.model_at.begin) == R"("gpt-4o")");
  CHECK(refusal(planned("{")) == errc::invalid_json);
  CHECK(refusal(planned("[]")) == errc::invalid_shape);
  CHECK(refusal(planned(R"({"model":"m","messages":[],"fallbacks":["x"]})", key_for({"m"}))) ==
        errc::model_not_allowed);
  // Whether a refused request wanted a stream is still known, because the log says it.
  const auto refused =
      planned(R"({"model":"m","messages":[],"stream":true,"fallbacks":["x"]})", key_for({"m"}));
  CHECK(std::get<refused_body>(refused).stream);
  const auto wrong = planned(R"({"model":7,"messages":[]})");
  CHECK(std::get<refused_body>(wrong).reason.param == "model");
  CHECK(std::get<refused_body>(wrong).detail.find("model") != std::string::npos);
}

TEST_CASE("intake: a streamed chat is edited to ask for its usage if that is wanted", "[unit][intake]") {
  const auto ask = [](std::string body) {
    const auto judged = plan_body(chat_route(), {}, "/v1/chat/completions", nullptr, true, body);
    return std::pair{std::get<body_plan>(judged), body};
  };
  const auto [plan, body] = ask(R"({"stream":true,"messages":[],"model":"m"})");
  CHECK(plan.adds_usage);
  CHECK(body.find(R"("include_usage":true)") != std::string::npos);
  // The plan has the place of the model after the edit.
  CHECK(body.substr(plan.model_at.begin, plan.model_at.end - plan.model_at.begin) == R"("m")");
  const std::string asks =
      R"({"stream":true,"stream_options":{"include_usage":true},"messages":[],"model":"m"})";
  CHECK_FALSE(ask(asks).first.adds_usage);
  CHECK(ask(asks).second == asks);
  CHECK_FALSE(ask(R"({"messages":[],"model":"m"})").first.adds_usage);
}

TEST_CASE("intake: a key may use the groups of its entry, INTERNAL_API_KEY all of them", "[unit][intake]") {
  key_rules usual, files;
  files.routes = {};
  files.routes.add(route_group::files);
  const auto refused = check_group(usual, false, route_group::files);
  REQUIRE(refused);
  CHECK(refused->code == errc::route_not_allowed);
  CHECK(refused->message.find("'files'") != std::string::npos);
  CHECK(refused->message.find("field routes") != std::string::npos);
  CHECK_FALSE(check_group(usual, false, route_group::chat));
  CHECK_FALSE(check_group(usual, false, route_group::ocr));
  CHECK(check_group(usual, false, route_group::videos));
  CHECK_FALSE(check_group(files, false, route_group::files));
  CHECK(check_group(files, false, route_group::chat));
  CHECK_FALSE(check_group(files, false, route_group::none));
  CHECK_FALSE(check_group(usual, true, route_group::files));
  CHECK_FALSE(check_group(files, true, route_group::chat));
}

}  // namespace llm_proxy
