// The built program itself: its exit codes, its output, how it ends, and what it logs.
#include "support/program.hpp"
#include "support/scripted_upstream.hpp"

#include <csignal>
#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <system_error>
#include <tuple>
#include <utility>
#include <vector>

namespace llm_proxy::test {

namespace {

using namespace std::chrono_literals;

std::vector<std::string> lines_with(const std::string& text, std::string_view part) {
  std::vector<std::string> found;
  for (std::size_t begin = 0; begin < text.size();) {
    const auto end = std::min(text.find('\n', begin), text.size());
    auto line = text.substr(begin, end - begin);
    if (holds(line, part)) found.push_back(std::move(line));
    begin = end + 1;
  }
  return found;
}

}  // namespace

TEST_CASE("program: a LITELLM_CA_FILE that cannot be used is named, with exit code 2", "[service][program]") {
  const std::string here = LLM_PROXY_SOURCE_DIR "/CMakeLists.txt";  // a file that is not PEM
  for (const auto& [file, why] : {std::pair<std::string, std::string>{"/no/such/file.pem", "cannot be read"},
                                  {"/tmp", "is a directory"},
                                  {here, "holds no certificate"}}) {
    child_process refused{program,
                          with(mock_environment({{"LLM_PROXY__LITELLM_PROXY_URL", "https://localhost:4000"},
                                                 {"LLM_PROXY__LITELLM_CA_FILE", file}}))};
    CHECK(refused.wait(long_patience) == 2);
    CHECK(holds(refused.err(), "LLM_PROXY__LITELLM_CA_FILE"));
    CHECK(holds(refused.err(), file));
    CHECK(holds(refused.err(), why));
  }
}

TEST_CASE("program: --version, --help and --check-config print their output and exit", "[service][program]") {
  child_process version{program, with_argument("--version", {{"LLM_PROXY__VERSION", "1.2.3"}})};
  CHECK(version.wait(long_patience) == 0);
  CHECK(version.out().starts_with("llm-proxy 1.2.3"));
  child_process help{program, with_argument("--help")};
  CHECK(help.wait(long_patience) == 0);
  CHECK(holds(help.out(), "LLM_PROXY__INTERNAL_API_KEY"));
  child_process check{program, with_argument("--check-config", mock_environment())};
  CHECK(check.wait(long_patience) == 0);
  CHECK(check.out() == "OK\n");
  child_process unknown{program, with_argument("--frobnicate")};
  CHECK(unknown.wait(long_patience) == 2);
  CHECK(unknown.out().empty());
  CHECK(holds(unknown.err(), "--frobnicate"));
}

TEST_CASE("program: with a bad configuration it names every fault and exits with 2", "[service][program]") {
  const environment bad{{"LLM_PROXY__PORT", "70000"},          {"LLM_PROXY__LLM_MODE", "magic"},
                        {"LLM_PROXY__LOG_LEVEL", "LOUD"},      {"LLM_PROXY__THREADS", "-1"},
                        {"LLM_PROXY__IDLE_TIMEOUT", "soon"},   {"LLM_PROXY__LITELLM_PROXY_URL", "ftp://x"},
                        {"LLM_PROXY__INTERNAL_API_KEY", ""},   {"LLM_PROXY__MAX_BODY_BYTES", "many"},
                        {"LLM_PROXY__HOST", "not an address"}, {"LLM_PROXY__DEFUALT_MODEL", "typo"}};
  for (const auto& arguments : std::vector<std::vector<std::string>>{{}, {"--check-config"}}) {
    auto how = with(bad);
    how.arguments = arguments;
    child_process service{program, how};
    CHECK(service.wait(long_patience) == 2);
    CHECK(service.out().empty());
    for (const auto& [name, value] : bad) {
      INFO(name);
      CHECK(holds(service.err(), name));
    }
    CHECK(holds(service.err(), "LLM_PROXY__DEFAULT_MODEL"));
  }
}

TEST_CASE("program: the default key is refused when other machines can connect", "[service][program]") {
  child_process open{program, with({{"LLM_PROXY__HOST", "0.0.0.0"}, {"LLM_PROXY__PORT", "0"}})};
  CHECK(open.wait(long_patience) == 2);
  CHECK(holds(open.err(), "LLM_PROXY__INTERNAL_API_KEY"));
}

TEST_CASE("program: it exits with 1 if its port is in use, even by a copy of itself", "[service][program]") {
  const auto port = free_port();
  auto values = mock_environment();
  values["LLM_PROXY__PORT"] = std::to_string(port);
  child_process first{program, with(values)};
  REQUIRE(port_of(first) == port);
  child_process second{program, with(values)};
  CHECK(second.wait(long_patience) == 1);
  CHECK(holds(second.err(), "127.0.0.1:" + std::to_string(port)));
  CHECK(holds(second.err(), "in use"));
  CHECK(holds(second.err(), "LLM_PROXY__PORT"));
  CHECK(request(port, "GET", "/health").status == 200);
  first.signal(SIGTERM);
  CHECK(first.wait(long_patience) == 0);
  // The port can be used again immediately, although there have been connections on it.
  child_process third{program, with(values)};
  CHECK(port_of(third) == port);
}

TEST_CASE("program: SIGTERM and SIGINT let a stream end, then it exits with 0", "[service][program]") {
  for (const int number : {SIGTERM, SIGINT}) {
    child_process service{program, with(mock_environment({{"LLM_PROXY__MOCK_CHUNK_DELAY_MS", "100"}}))};
    const auto port = port_of(service);
    REQUIRE(port != 0);
    raw_connection idle{port};
    raw_connection client{port};
    REQUIRE(client.send(chat_bytes(chat_body("m", true, "a b c"))));
    REQUIRE(client.read_until("\n\n", patience).end == read_end::done);
    service.signal(number);
    CHECK(idle.wait_closed(patience) == read_end::eof);
    const auto rest = client.read_to_end(patience);
    CHECK(rest.end == read_end::eof);
    CHECK(holds(rest.bytes, "data: [DONE]\n\n\r\n0\r\n\r\n"));
    client.close();
    CHECK(service.wait(long_patience) == 0);
    CHECK(service.err().empty());
  }
}

TEST_CASE("program: DRAIN_TIMEOUT and a second signal cut the requests in flight, and the exit code is 0",
          "[service][program]") {
  for (const bool by_signal : {false, true}) {
    child_process service{
        program, with(mock_environment({{"LLM_PROXY__MOCK_CHUNK_DELAY_MS", "600000"},
                                        {"LLM_PROXY__DRAIN_TIMEOUT", by_signal ? "10m" : "100ms"}}))};
    const auto port = port_of(service);
    REQUIRE(port != 0);
    raw_connection client{port};
    raw_connection idle{port};
    REQUIRE(client.send(chat_bytes(chat_body("m", true, "a"))));
    REQUIRE(client.read_until("\n\n", patience).end == read_end::done);
    service.signal(SIGTERM);
    REQUIRE(idle.wait_closed(patience) == read_end::eof);  // shows that the first signal has arrived
    if (by_signal) service.signal(SIGTERM);
    const auto rest = client.read_to_end(patience);
    CHECK(holds(rest.bytes, R"("code":"drained")"));
    CHECK_FALSE(holds(rest.bytes, "[DONE]"));
    client.close();
    CHECK(service.wait(long_patience) == 0);
  }
}

TEST_CASE("program: SIGPIPE and a closed stdout do not end it", "[service][program]") {
  const auto port = free_port();
  auto values = mock_environment();
  values["LLM_PROXY__PORT"] = std::to_string(port);
  auto how = with(values);
  how.closed_output = true;
  child_process service{program, how};
  REQUIRE(eventually([port] {
    try {
      raw_connection client{port};
      return true;
    } catch (const std::system_error&) {
      return false;
    }
  }));
  service.signal(SIGPIPE);
  for (int i = 0; i < 20; ++i) {
    // Each client leaves in the middle of its answer, so the program writes to closed sockets.
    raw_connection client{port};
    REQUIRE(client.send(chat_bytes(chat_body("m", true, "a b c d"))));
    client.reset();
  }
  CHECK(request(port, "GET", "/health").status == 200);
  service.signal(SIGTERM);
  CHECK(service.wait(long_patience) == 0);
}

TEST_CASE("program: a standard stream that is closed at the start becomes /dev/null, never a client's socket",
          "[service][program]") {
  for (const auto& closed : std::vector<std::vector<int>>{{0}, {1}, {2}, {0, 1, 2}}) {
    CAPTURE(closed);
    const auto port = free_port();
    auto how = with(mock_environment({{"LLM_PROXY__PORT", std::to_string(port)}}));
    how.closed = closed;
    child_process service{program, how};
    const auto is_up = [&] {
      try {
        return request(port, "GET", "/health").status == 200;
      } catch (const std::system_error&) {
        return false;
      }
    };
    REQUIRE(eventually(is_up));
    for (const int descriptor : closed) {
      const auto link = "/proc/" + std::to_string(service.pid()) + "/fd/" + std::to_string(descriptor);
      CHECK(std::filesystem::read_symlink(link) == "/dev/null");
    }
    // The log has the paths of all requests. None of its lines may reach a client.
    std::vector<raw_connection> listening;
    for (int i = 0; i < 4; ++i) listening.emplace_back(port);
    for (int i = 0; i < 4; ++i) CHECK(request(port, "GET", "/v1/secret-path", with_key).status == 404);
    for (auto& each : listening) CHECK(each.stays_quiet(20ms));
    service.signal(SIGTERM);
    CHECK(service.wait(long_patience) == 0);
    if (closed == std::vector<int>{0}) CHECK(holds(service.out(), "secret-path"));
  }
}

TEST_CASE("program: commands work without standard streams, and their output reaches no socket",
          "[service][program]") {
  // Everything that the server at the other end of the command's connection receives.
  std::string asked;
  std::mutex changing;
  scripted_upstream there{[&](const upstream_request& request, upstream_reply& reply) {
    const std::lock_guard lock{changing};
    asked += request.method + " " + request.target + request.body;
    reply.json(200, R"({"data":[]})");
  }};
  for (const auto& closed : std::vector<std::vector<int>>{{0}, {1}, {2}, {0, 1, 2}}) {
    CAPTURE(closed);
    for (const auto& [arguments, code] :
         std::vector<std::pair<std::vector<std::string>, int>>{{{"--version"}, 0},
                                                               {{"--check-config"}, 0},
                                                               {{"--frobnicate"}, 2},
                                                               {{"health", "--url", there.url()}, 0}}) {
      CAPTURE(arguments);
      auto how = with(mock_environment());
      how.arguments = arguments;
      how.closed = closed;
      child_process command{program, how};
      CHECK(command.wait(long_patience) == code);
    }
  }
  const std::lock_guard lock{changing};
  CHECK_FALSE(holds(asked, "healthy"));
}

TEST_CASE("program: one JSON log line per request, without keys, contents and queries",
          "[service][program]") {
  child_process service{program, with(mock_environment({{"LLM_PROXY__LOG_LEVEL", "TRACE"},
                                                        {"LLM_PROXY__INTERNAL_API_KEY", "k-SECRET1"},
                                                        {"LLM_PROXY__LITELLM_API_KEY", "k-SECRET2"}}))};
  const auto port = port_of(service);
  REQUIRE(port != 0);
  const auto ask = [&](std::string_view id, std::string_view method, std::string_view target,
                       header_list headers = {{"x-internal-auth", "k-SECRET1"}}, std::string_view body = {}) {
    headers.emplace_back("x-request-id", id);
    return request(port, method, target, headers, body).status;
  };
  const header_list key{{"x-internal-auth", "k-SECRET1"}};
  CHECK(ask("i-health", "GET", "/health?q=SECRET3") == 200);
  CHECK(ask("i-models", "GET", "/v1/models?api_key=SECRET4") == 200);
  CHECK(ask("i-chat", "POST", "/v1/chat/completions?x=SECRET5", key,
            chat_body("a-model", false, "SECRET6")) == 200);
  CHECK(ask("i-stream", "POST", "/v1/chat/completions", {{"authorization", "Bearer k-SECRET1"}},
            chat_body("b-model", true, "SECRET7")) == 200);
  CHECK(ask("i-refused", "GET", "/v1/models", {{"x-internal-auth", "SECRET8"}, {"cookie", "SECRET9"}}) ==
        401);
  CHECK(ask("i-bearer", "GET", "/v1/models", {{"authorization", "Bearer SECRET10"}}) == 401);
  CHECK(ask("i-json", "POST", "/v1/chat/completions", key, R"({"SECRET11":)") == 400);
  CHECK(ask("i-shape", "POST", "/v1/chat/completions", key,
            R"({"model":"m","messages":[{"role":["SECRET12"]}]})") == 422);
  CHECK(ask("i-path", "GET", "/no/\"path\"\xff") == 404);
  CHECK(say(port, "GET /SECRET13 HTTP/1.1\r\nhost: x\r\nx-internal-auth: k-SECRET1\r\nbad line\r\n\r\n")
            .status == 400);
  service.signal(SIGTERM);
  CHECK(service.wait(long_patience) == 0);
  const auto& log = service.out();
  CHECK_FALSE(holds(log, "SECRET"));
  CHECK_FALSE(holds(service.err(), "SECRET"));
  for (const auto& [id, status, verdict] : std::vector<std::tuple<std::string, std::string, std::string>>{
           {"i-health", "200", "complete"},
           {"i-models", "200", "complete"},
           {"i-chat", "200", "complete"},
           {"i-stream", "200", "complete"},
           {"i-refused", "401", "rejected_auth"},
           {"i-bearer", "401", "rejected_auth"},
           {"i-json", "400", "rejected_invalid"},
           {"i-shape", "422", "rejected_invalid"},
           {"i-path", "404", "rejected_invalid"}}) {
    INFO(id);
    const auto lines = lines_with(log, "\"id\":\"" + id + "\"");
    REQUIRE(lines.size() == 1);
    CHECK(holds(lines[0], "\"status\":" + status + ","));
    CHECK(holds(lines[0], "\"verdict\":\"" + verdict + "\""));
  }
  const auto chat_line = lines_with(log, R"("id":"i-chat")").front();
  CHECK(holds(chat_line, R"("method":"POST","path":"/v1/chat/completions")"));
  CHECK(holds(chat_line, R"("model":"a-model","stream":false)"));
  const auto stream_line = lines_with(log, R"("id":"i-stream")").front();
  CHECK(holds(stream_line, R"("model":"b-model","stream":true)"));
  CHECK(lines_with(log, "\"verdict\":").size() == 10);
  for (const auto& line : lines_with(log, "")) {
    CHECK(line.front() == '{');
    CHECK(line.back() == '}');
  }
}

}  // namespace llm_proxy::test
