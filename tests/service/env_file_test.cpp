// Where the built program gets its options from, and what it does with a changed file at SIGHUP.
#include "support/keys_file.hpp"
#include "support/odd_files.hpp"
#include "support/program.hpp"

#include <csignal>
#include <filesystem>
#include <string>
#include <vector>

namespace llm_proxy::test {

namespace {

using namespace std::chrono_literals;

/// Returns the options for a program that runs in `folder`, where its .env may be, with no variables set.
child_process::options in_folder(const file_folder& folder, std::vector<std::string> arguments = {}) {
  child_process::options how;
  how.directory = folder.path();
  how.arguments = std::move(arguments);
  return how;
}

const std::string mock_lines =
    "LLM_PROXY__LLM_MODE=mock\nLLM_PROXY__PORT=0\nLLM_PROXY__THREADS=1\nLLM_PROXY__INTERNAL_API_KEY=" +
    std::string{test_key} + "\n";

struct outcome {
  int code;
  std::string err;
};
outcome run(const child_process::options& how) {
  child_process process{program, how};
  const auto code = process.wait(long_patience);
  return {code, process.err()};
}

int status_of(std::uint16_t port, const std::string& key) {
  return request(port, "GET", "/v1/models", {{"x-internal-auth", key}}).status;
}

}  // namespace

TEST_CASE("env file: if it is missing or empty at SIGHUP the options stay, and the keys are read again",
          "[service][program][reload]") {
  for (const std::string fate : {"missing", "empty", "comments", "a directory", "in another place"}) {
    INFO(fate);
    const file_folder folder;
    keys_file keys{{{"first", "first-key"}}};
    folder.write(".env", mock_lines + "LLM_PROXY__LOG_LEVEL=INFO\nLLM_PROXY__INTERNAL_API_KEYS_FILE=" +
                             keys.path() + "\n");
    child_process service{program, in_folder(folder)};
    const auto port = port_of(service);
    REQUIRE(port != 0);
    service.signal(SIGHUP);
    REQUIRE(service.wait_for_output("SIGHUP: options read from .env", long_patience));
    std::filesystem::remove(folder.path(".env"));
    if (fate == "empty") folder.write(".env", "");
    if (fate == "comments") folder.write(".env", "# LLM_PROXY__LLM_MODE=mock\n\n");
    if (fate == "a directory") std::filesystem::create_directory(folder.path(".env"));
    if (fate == "in another place") folder.write("env", mock_lines);
    keys.write({{"second", "second-key"}});
    service.signal(SIGHUP);
    REQUIRE(service.wait_for_output("SIGHUP: the options stay as they were", long_patience));
    CHECK(holds(service.out(), R"("level":"error","msg":".env)"));
    CHECK_FALSE(holds(service.out(), "SIGHUP: changed"));
    // The service is still in mock mode, and has the new key.
    CHECK(eventually([&] { return status_of(port, "second-key") == 200; }));
    CHECK(status_of(port, "first-key") == 401);
    CHECK(status_of(port, std::string{test_key}) == 200);
    // The file is read again when it is back.
    std::filesystem::remove_all(folder.path(".env"));
    folder.write(".env", mock_lines + "LLM_PROXY__LOG_LEVEL=DEBUG\nLLM_PROXY__INTERNAL_API_KEYS_FILE=" +
                             keys.path() + "\n");
    service.signal(SIGHUP);
    CHECK(service.wait_for_output("SIGHUP: changed: LLM_PROXY__LOG_LEVEL", long_patience));
    service.signal(SIGTERM);
    CHECK(service.wait(long_patience) == 0);
  }
}

TEST_CASE("env file: SIGHUP logs that there is none, and reads one that has appeared since",
          "[service][program][reload]") {
  const file_folder folder;
  auto how = in_folder(folder);
  how.environment = mock_environment();
  child_process service{program, how};
  REQUIRE(port_of(service) != 0);
  service.signal(SIGHUP);
  CHECK(service.wait_for_output("SIGHUP: there is no file of options", long_patience));
  folder.write(".env", "LLM_PROXY__LOG_LEVEL=DEBUG\n");
  service.signal(SIGHUP);
  CHECK(service.wait_for_output("SIGHUP: changed: LLM_PROXY__LOG_LEVEL", long_patience));
  std::filesystem::remove(folder.path(".env"));
  service.signal(SIGHUP);
  CHECK(service.wait_for_output("SIGHUP: the options stay as they were", long_patience));
}

TEST_CASE("env file: with --env-file only that file is read, by the service, at SIGHUP and by commands",
          "[service][program][cli]") {
  const file_folder folder;
  folder.write(".env", "LLM_PROXY__LLM_MODE=nonsense\n");
  const auto other = folder.write("other.env", mock_lines);
  CHECK(run(in_folder(folder, {"check-config"})).code == 2);
  CHECK(run(in_folder(folder, {"--env-file", other, "check-config"})).code == 0);
  CHECK(run(in_folder(folder, {"--env-file=" + other, "check-config"})).code == 0);
  CHECK(run(in_folder(folder, {"--env-file", "/dev/null", "check-config"})).code == 0);
  const auto missing = run(in_folder(folder, {"--env-file", "none.env", "check-config"}));
  CHECK(missing.code == 2);
  CHECK(holds(missing.err, "none.env"));
  CHECK(run(in_folder(folder, {"--env-file"})).code == 2);
  CHECK(run(in_folder(folder, {"--env-file="})).code == 2);
  child_process service{program, in_folder(folder, {"--env-file", other})};
  REQUIRE(port_of(service) != 0);
  service.signal(SIGHUP);
  CHECK(service.wait_for_output("SIGHUP: options read from " + other, long_patience));
}

TEST_CASE("env file: if it cannot be read the service does not start, and commands run without it",
          "[service][program][cli]") {
  const file_folder folder;
  std::filesystem::create_directory(folder.path(".env"));
  const auto start = run(in_folder(folder));
  CHECK(start.code == 2);
  CHECK(holds(start.err, "llm-proxy: error: .env "));
  const auto command =
      run(in_folder(folder, {"health", "--url", "http://127.0.0.1:" + std::to_string(free_port())}));
  CHECK(command.code == 1);
  CHECK(holds(command.err, "llm-proxy: warning: .env "));
}

TEST_CASE("env file: an option without its prefix causes a warning that shows the full name",
          "[service][program][cli]") {
  const file_folder folder;
  folder.write(".env",
               mock_lines + "UI=false\nlitellm_proxy_url=http://x\nPORT=0\nMINE=1\nOTEL_SERVICE_NAME=x\n");
  const auto checked = run(in_folder(folder, {"check-config"}));
  CHECK(checked.code == 0);
  CHECK(holds(checked.err, ".env: UI has no effect without its prefix; write LLM_PROXY__UI"));
  CHECK(holds(checked.err, "write LLM_PROXY__LITELLM_PROXY_URL"));
  for (const std::string silent : {"PORT", "MINE", "OTEL"}) {
    INFO(silent);
    CHECK_FALSE(holds(checked.err, ": " + silent));
  }
}

}  // namespace llm_proxy::test
