// The commands of the program that ask a running service, and those that write the file of keys.
#include "http/keys/keys_file.hpp"
#include "support/certificate.hpp"
#include "support/keys_file.hpp"
#include "support/program.hpp"
#include "support/running_proxy.hpp"

#include <csignal>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <sys/stat.h>
#include <utility>
#include <vector>

namespace llm_proxy::test {

namespace {

struct outcome {
  int code;
  std::string out, err;
};

outcome run(std::vector<std::string> arguments, environment values = {}) {
  child_process::options how;
  how.arguments = std::move(arguments);
  how.environment = std::move(values);
  child_process command{program, how};
  const int code = command.wait(long_patience);
  return {code, command.out(), command.err()};
}

/// A service in mock mode, and the environment with which a command finds it.
struct mock_service {
  explicit mock_service(const environment& more = {}) : process{program, with(mock_environment(more))} {
    found["LLM_PROXY__PORT"] = std::to_string(port_of(process));
    found["LLM_PROXY__INTERNAL_API_KEY"] = test_key;
  }
  outcome ask(std::vector<std::string> arguments) const { return run(std::move(arguments), found); }

  child_process process;
  environment found;
};

std::string text_in(const std::string& path) {
  std::stringstream text;
  text << std::ifstream{path}.rdbuf();
  return text.str();
}

std::string first_line(const std::string& text) {
  return text.substr(0, text.find('\n'));
}

}  // namespace

TEST_CASE("command: health exits with 0 for a healthy service, and with 1 and the reason for any other",
          "[service][cli]") {
  const mock_service service;
  const auto port = service.found.at("LLM_PROXY__PORT");
  CHECK(service.ask({"health"}).out == "healthy\n");
  CHECK(service.ask({"health"}).code == 0);
  CHECK(run({"health"}, {{"LLM_PROXY__PORT", port}, {"LLM_PROXY__HOST", "0.0.0.0"}}).code == 0);
  CHECK(run({"health", "--url", "http://127.0.0.1:" + port}).code == 0);
  const auto wrong_status = run({"health", "--url=http://127.0.0.1:" + port + "/v1/models"});
  CHECK(wrong_status.code == 1);
  CHECK(wrong_status.out.empty());
  CHECK(holds(wrong_status.err, "status 401"));
  const auto refused = run({"health"}, {{"LLM_PROXY__PORT", std::to_string(free_port())}});
  CHECK(refused.code == 1);
  CHECK(holds(refused.err, "no connection"));
  CHECK(run({"health"}, {{"LLM_PROXY__PORT", "0"}}).code == 2);
  CHECK(run({"health", "--uri", "http://127.0.0.1"}).code == 2);
  CHECK(run({"health", "twice"}).code == 2);
}

TEST_CASE("command: health asks ADMIN_PORT only if PORT cannot be asked", "[service][cli]") {
  const auto admin = std::to_string(free_port());
  const mock_service service{
      {{"LLM_PROXY__ADMIN_PORT", admin}, {"LLM_PROXY__MOCK_CHUNK_DELAY_MS", "600000"}}};
  auto found = service.found;
  found["LLM_PROXY__ADMIN_PORT"] = admin;
  CHECK(run({"health"}, found).code == 0);
  // With PORT=0 the port is not known, as when the service took any free port or was handed a socket.
  CHECK(run({"health"}, {{"LLM_PROXY__PORT", "0"}, {"LLM_PROXY__ADMIN_PORT", admin}}).code == 0);
  CHECK(run({"health"}, {{"LLM_PROXY__PORT", std::to_string(free_port())}, {"LLM_PROXY__ADMIN_PORT", admin}})
            .code == 0);
  // With --url only that address is asked.
  const auto named = run({"health", "--url", "http://127.0.0.1:" + std::to_string(free_port())},
                         {{"LLM_PROXY__ADMIN_PORT", admin}});
  CHECK(named.code == 1);
  // A service that accepts connections on PORT and does not answer is unhealthy, whatever ADMIN_PORT answers.
  scripted_upstream mute{[](const upstream_request&, upstream_reply& reply) { reply.hang(); }};
  const auto hangs =
      run({"health"}, {{"LLM_PROXY__PORT", std::to_string(mute.port())}, {"LLM_PROXY__ADMIN_PORT", admin}});
  CHECK(hangs.code == 1);
  CHECK(holds(hangs.err, ":" + std::to_string(mute.port()) + ": no HTTP answer"));

  // A service that drains no longer listens on PORT, but it is alive.
  const auto port = static_cast<std::uint16_t>(std::stoi(found.at("LLM_PROXY__PORT")));
  raw_connection client{port};
  REQUIRE(client.send(chat_bytes(chat_body("m", true))));
  REQUIRE(client.read_until("\n\n", patience).end == read_end::done);
  service.process.signal(SIGTERM);
  CHECK(eventually([&] { return run({"health"}, service.found).code == 1; }));
  CHECK(run({"health"}, found).code == 0);
  service.process.signal(SIGTERM);
  client.read_to_end(patience);
  client.close();
  CHECK(eventually([&] { return run({"health"}, found).code == 1; }));
}

TEST_CASE("command: health asks ADMIN_PORT if the service demands client certificates", "[service][cli]") {
  const certificate cert;
  auto tls = environment{{"LLM_PROXY__TLS_CERT_FILE", cert.file()},
                         {"LLM_PROXY__TLS_KEY_FILE", cert.key()},
                         {"LLM_PROXY__TLS_CLIENT_CA_FILE", cert.file()}};
  const auto admin = std::to_string(free_port());
  auto with_admin = tls;
  with_admin["LLM_PROXY__ADMIN_PORT"] = admin;
  const mock_service service{with_admin};
  tls["LLM_PROXY__PORT"] = with_admin["LLM_PROXY__PORT"] = service.found.at("LLM_PROXY__PORT");
  const auto stranger = run({"health"}, tls);
  CHECK(stranger.code == 1);
  CHECK(holds(stranger.err, "ADMIN_PORT"));
  CHECK(run({"health"}, with_admin).code == 0);
}

TEST_CASE("command: health doesn't wait for ever on a service that took its connection", "[service][cli]") {
  scripted_upstream mute{[](const upstream_request&, upstream_reply& reply) { reply.hang(); }};
  const auto check = run({"health", "--url", "http://127.0.0.1:" + std::to_string(mute.port())});
  CHECK(check.code == 1);
  CHECK(holds(check.err, "no HTTP answer: it took too long"));
}

TEST_CASE("command: a service with TLS is asked over TLS", "[service][cli]") {
  const certificate cert;
  const mock_service service{
      {{"LLM_PROXY__TLS_CERT_FILE", cert.file()}, {"LLM_PROXY__TLS_KEY_FILE", cert.key()}}};
  auto found = service.found;
  found["LLM_PROXY__TLS_CERT_FILE"] = cert.file();
  found["LLM_PROXY__TLS_KEY_FILE"] = cert.key();
  CHECK(run({"health"}, found).code == 0);
  CHECK(run({"chat", "over TLS"}, found).out == "Mock LLM response: over TLS\n");

  const auto url = "https://localhost:" + found.at("LLM_PROXY__PORT");
  CHECK(service.ask({"chat", "--url", url, "--ca-file", cert.file(), "named"}).out ==
        "Mock LLM response: named\n");
  const auto stranger = service.ask({"chat", "--url", url, "to a stranger"});
  CHECK(stranger.code == 1);
  CHECK(holds(stranger.err, "no TLS connection"));
  const auto misnamed = service.ask({"chat", "--url", "https://127.0.0.1:" + found.at("LLM_PROXY__PORT"),
                                     "--ca-file", cert.file(), "to another name"});
  CHECK(misnamed.code == 1);
  CHECK(holds(misnamed.err, "no TLS connection"));
}

TEST_CASE("command: chat prints the answer and exits with 0", "[service][cli]") {
  const mock_service service;
  const auto answer = service.ask({"chat", "-m", "any", "say \"this\" back"});
  CHECK(answer.code == 0);
  CHECK(answer.out == "Mock LLM response: say \"this\" back\n");
  CHECK(answer.err.empty());
  child_process::options piped;
  piped.arguments = {"-c", "printf 'from a pipe' | " + program + " chat -"};
  piped.environment = service.found;
  child_process shell{"/bin/sh", piped};
  CHECK(shell.wait(long_patience) == 0);
  CHECK(shell.out() == "Mock LLM response: from a pipe\n");
}

TEST_CASE("command: chat sends the model and the system message", "[service][cli]") {
  scripted_upstream upstream;
  proxy service{litellm_settings(upstream.url())};
  const auto url = "http://127.0.0.1:" + std::to_string(service.port());
  const environment key{{"LLM_PROXY__INTERNAL_API_KEY", std::string{test_key}}};
  CHECK(run({"chat", "--model", "gpt-x", "--system=Be brief.", "--url", url, "--", "-5?"}, key).code == 0);
  const auto sent = upstream.requests().back();
  CHECK(sent.text("model") == "gpt-x");
  CHECK(sent.text("content") == "Be brief.");
  CHECK(sent.last_text("content") == "-5?");
}

TEST_CASE("command: chat exits with 1 if the request is refused or the answer is cut", "[service][cli]") {
  scripted_upstream upstream;
  proxy service{litellm_settings(upstream.url())};
  const auto url = "http://127.0.0.1:" + std::to_string(service.port());
  const environment key{{"LLM_PROXY__INTERNAL_API_KEY", std::string{test_key}}};
  const auto cut = run({"chat", "-m", "cut-stream", "--url", url, "tell me"}, key);
  CHECK(cut.code == 1);
  CHECK(holds(cut.err, "llm-proxy: error: " + url + ": "));
  const auto stranger = run({"chat", "--url", url, "tell me"}, {{"LLM_PROXY__INTERNAL_API_KEY", "wrong"}});
  CHECK(stranger.code == 1);
  CHECK(stranger.out.empty());
  CHECK(holds(stranger.err, "status 401: Missing or wrong internal key"));
  CHECK(run({"chat"}, key).code == 2);
  CHECK(run({"chat", "two", "texts"}, key).code == 2);
  CHECK(run({"chat", "--model"}, key).code == 2);
  CHECK(run({"chat", "-m", "a", "-m", "b", "text"}, key).code == 2);
}

TEST_CASE("command: models lists what the service offers", "[service][cli]") {
  const mock_service service;
  const auto listed = service.ask({"models"});
  CHECK(listed.code == 0);
  CHECK(listed.out ==
        "MODEL     PROVIDER  CONTEXT  AVAILABLE\n"
        "mock-llm  Fake      4096     yes\n");
  auto stranger = service.found;
  stranger["LLM_PROXY__INTERNAL_API_KEY"] = "wrong";
  CHECK(run({"models"}, stranger).code == 1);
}

TEST_CASE("command: models shows only sizes that LiteLLM names, and chat lists the models for an unknown one",
          "[service][cli]") {
  scripted_upstream up{[](const upstream_request& req, upstream_reply& reply) {
    if (req.target == "/v1/models") {
      reply.json(200, R"({"data":[{"id":"big","max_input_tokens":200000},{"id":"unknown-size"}]})");
    } else if (req.method == "GET") {
      reply.json(404, "{}");
    } else {
      reply.json(400, R"({"error":{"message":"Invalid model name passed in model=)" + req.text("model") +
                          R"(","type":"invalid_request_error","param":"model","code":"400"}})");
    }
  }};
  const mock_service service{
      {{"LLM_PROXY__LLM_MODE", "litellm"}, {"LLM_PROXY__LITELLM_PROXY_URL", up.url()}}};
  CHECK(service.ask({"models"}).out ==
        "MODEL         PROVIDER  CONTEXT  AVAILABLE\n"
        "big           LiteLLM   200000   yes\n"
        "unknown-size  LiteLLM   -        yes\n");
  const auto asked = service.ask({"chat", "-m", "none", "Hello"});
  CHECK(asked.code == 1);
  CHECK(holds(asked.err, "has no model none; -m takes one of: big, unknown-size"));
  CHECK(holds(service.ask({"chat", "Hello"}).err, "DEFAULT_MODEL was asked; -m takes one of: big"));
  CHECK_FALSE(holds(service.ask({"chat", "-m", "big", "Hello"}).err, "has no model"));
}

TEST_CASE("command: a key from keys add works after SIGHUP, and no longer after keys revoke",
          "[service][cli]") {
  keys_file file{{}};
  file.write_raw(R"({"keys":[]})");
  const environment where{{"LLM_PROXY__INTERNAL_API_KEYS_FILE", file.path()}};
  mock_service service{where};
  const auto opens = [&](const std::string& key) {
    auto found = service.found;
    found["LLM_PROXY__INTERNAL_API_KEY"] = key;
    return run({"models"}, found).code == 0;
  };
  const auto made = run({"keys", "add", "team-a", "--rpm", "1000"}, where);
  REQUIRE(made.code == 0);
  const auto key = first_line(made.out);
  CHECK(made.out == key + "\n");
  CHECK_FALSE(holds(text_in(file.path()), key));
  CHECK_FALSE(opens(key));
  service.process.signal(SIGHUP);
  CHECK(eventually([&] { return opens(key); }));

  REQUIRE(run({"keys", "revoke", "team-a"}, where).code == 0);
  service.process.signal(SIGHUP);
  CHECK(eventually([&] { return !opens(key); }));
}

TEST_CASE("command: the routes of a key change with its file and a SIGHUP", "[service][cli]") {
  keys_file file{{{"team-a", "key-a"}}};
  mock_service service{{{"LLM_PROXY__INTERNAL_API_KEYS_FILE", file.path()}}};
  const auto port = static_cast<std::uint16_t>(std::stoi(service.found["LLM_PROXY__PORT"]));
  const auto status = [&] { return request(port, "GET", "/v1/files", {{"x-api-key", "key-a"}}).status; };
  CHECK(status() == 403);
  file.write({{"team-a", "key-a", R"("routes":["files"])"}});
  service.process.signal(SIGHUP);
  CHECK(eventually([&] { return status() == 404; }));  // mock mode keeps nothing
}

TEST_CASE("command: keys add keeps the contents of the file and its mode", "[service][cli]") {
  keys_file file{{{"old", "old-key", R"("rpm":7)"}}};
  ::chmod(file.path().c_str(), 0640);
  const auto made = run({"keys", "add", "old", "--file", file.path(), "--expires", "2099-01-31T23:59:59Z"});
  REQUIRE(made.code == 0);
  const auto text = text_in(file.path());
  CHECK(holds(text, sha256_hex("old-key")));
  CHECK(holds(text, sha256_hex(first_line(made.out))));
  struct stat status {};
  REQUIRE(::stat(file.path().c_str(), &status) == 0);
  CHECK((status.st_mode & 0777) == 0640);
  const auto listed = run({"keys", "list", "--file", file.path()});
  CHECK(listed.code == 0);
  CHECK(holds(listed.out, "2099-01-31T23:59:59Z  -          7"));  // another key of a name has its limits
}

TEST_CASE("command: keys sets and shows the routes of a key, and a further key of the name has them too",
          "[service][cli]") {
  keys_file file{{{"usual", "key-usual"}}};
  const auto add = [&](std::vector<std::string> more) {
    more.insert(more.begin(), {"keys", "add"});
    more.insert(more.end(), {"--file", file.path()});
    return run(std::move(more));
  };
  REQUIRE(add({"stored", "--routes", "files,chat"}).code == 0);
  const auto key = first_line(add({"stored"}).out);
  const auto read = read_keys_file(file.path());
  REQUIRE(read.entries.size() == 3);
  CHECK(read.entries[2].digest == digest_of(key));
  CHECK(names_of(read.entries[2].rules->routes) == "chat,files");
  const auto listed = run({"keys", "list", "--file", file.path()}).out;
  CHECK(holds(listed, "ROUTES\n"));
  CHECK(holds(listed, " usual\n"));
  CHECK(holds(listed, " chat,files\n"));
  const auto before = text_in(file.path());
  CHECK(holds(add({"stored", "--routes", "files"}).err, "leave out --routes and"));
  CHECK(holds(add({"other", "--routes", "file"}).err, "takes a list of names of these groups: chat, "));
  for (const auto* list : {"--routes", "--models"}) {
    const auto refused = add({"other", list, ""});
    CHECK(refused.code == 2);
    CHECK(holds(refused.err, std::string{list} + " takes one or more names"));
  }
  CHECK(text_in(file.path()) == before);
}

TEST_CASE("command: keys says what it can't do, and leaves the file as it is", "[service][cli]") {
  keys_file file{{{"a", "key-of-a", R"("rpm":7)"}}};
  const auto before = text_in(file.path());
  const auto refused = [&](std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), "keys");
    arguments.insert(arguments.end(), {"--file", file.path()});
    return run(std::move(arguments));
  };
  CHECK(holds(refused({"add", "b", "--expires", "tomorrow"}).err, "RFC 3339"));
  CHECK(holds(refused({"add", "a", "--rpm", "8"}).err, "leave out --rpm and"));
  CHECK(holds(refused({"add", "a", "--rpm", "8", "--max-concurrent", "2", "--models", "m"}).err,
              "leave out --max-concurrent, --rpm, --models and"));
  CHECK(holds(refused({"add", "a", "--rpm", "7", "--tpm", "2"}).err, "leave out --tpm and"));
  CHECK(refused({"add", "no blanks"}).code == 1);
  CHECK(refused({"add", "b", "--rpm", "0"}).code == 2);
  CHECK(refused({"add", "b", "--sha256", "00"}).code == 2);
  CHECK(refused({"add"}).code == 2);
  CHECK(refused({"drop", "a"}).code == 2);
  CHECK(holds(refused({"revoke", "nobody"}).err, "has no such key of nobody"));
  CHECK(refused({"revoke", "a", "--sha256", "zz"}).code == 1);
  CHECK(text_in(file.path()) == before);
  CHECK(run({"keys", "list"}).code == 2);  // no file is named
  file.write_raw("{");
  CHECK(holds(refused({"add", "b"}).err, "is not valid JSON"));
  CHECK(text_in(file.path()) == "{");
}

TEST_CASE("command: completions and the manual page know every command", "[service][cli]") {
  const std::string source = LLM_PROXY_SOURCE_DIR;
  const auto page = run({"--print-man-page"}).out;
  std::istringstream help{run({"--help"}).out};
  std::size_t commands = 0;
  for (std::string line, before = "  llm-proxy "; std::getline(help, line);) {
    if (!line.starts_with(before)) continue;
    const auto name = line.substr(before.size(), line.find(' ', before.size()) - before.size());
    ++commands;
    CHECK(holds(page, "\n.B " + name + "\n"));
    CHECK(holds(text_in(source + "/config/completion/llm-proxy.bash"), " " + name + " "));
    CHECK(holds(text_in(source + "/config/completion/_llm-proxy"), name));
  }
  CHECK(commands >= 6);
}

}  // namespace llm_proxy::test
