// Configured files that are not regular files or too large: at the start, in commands, and at SIGHUP, where
// they must not block the service.
#include "support/certificate.hpp"
#include "support/keys_file.hpp"
#include "support/odd_files.hpp"
#include "support/program.hpp"
#include "support/upstream_chat.hpp"

#include <algorithm>
#include <csignal>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

namespace llm_proxy::test {

namespace {

using namespace std::chrono_literals;

constexpr std::size_t mib = std::size_t{1} << 20;

std::string keys_text() {
  return R"({"keys":[{"name":"team-a","sha256":")" + sha256_hex("key-of-a") + "\"}]}";
}

/// All files that the program reads at the start. Its `.env` is in `folder`.
struct files {
  file_folder folder;
  std::string env = folder.write(".env", "LLM_PROXY__MODEL_ALIASES=fast=mock-llm\n");
  std::string keys = folder.write("keys.json", keys_text());
  certificate cert;
  std::string certificate_file = folder.put_link("cert.pem", cert.file());
  std::string key_file = folder.put_link("key.pem", cert.key());
  std::string ca_file = folder.put_link("ca.pem", cert.file());
  std::string litellm_ca = folder.put_link("litellm-ca.pem", cert.file());
  std::string client_certificate = folder.put_link("client.pem", cert.file());
  std::string client_key = folder.put_link("client.key", cert.key());

  child_process::options how(bool tls) const {
    environment values{{"LLM_PROXY__INTERNAL_API_KEYS_FILE", keys},
                       {"LLM_PROXY__LITELLM_PROXY_URL", "https://localhost:1"},
                       {"LLM_PROXY__LITELLM_CA_FILE", litellm_ca},
                       {"LLM_PROXY__LITELLM_CLIENT_CERT_FILE", client_certificate},
                       {"LLM_PROXY__LITELLM_CLIENT_KEY_FILE", client_key}};
    if (tls) {
      values["LLM_PROXY__TLS_CERT_FILE"] = certificate_file;
      values["LLM_PROXY__TLS_KEY_FILE"] = key_file;
      values["LLM_PROXY__TLS_CLIENT_CA_FILE"] = ca_file;
    }
    auto options = with(mock_environment(values));
    options.directory = folder.path();
    return options;
  }
};

/// Replaces the file `name` with something that cannot be read, and returns the fault that must be reported.
using spoil = std::string (*)(const file_folder& folder, const std::string& name);

const std::vector<spoil> spoils{
    [](const file_folder& folder, const std::string& name) {
      folder.put_fifo(name);
      return std::string{"is a pipe (FIFO)"};
    },
    [](const file_folder& folder, const std::string& name) {
      folder.put_link(name, "/dev/zero");
      return std::string{"is a device"};
    },
    [](const file_folder& folder, const std::string& name) {
      folder.put_folder(name);
      return std::string{"is a directory"};
    },
    [](const file_folder& folder, const std::string& name) {
      const bool env = name == ".env";
      folder.put_sparse(name, env ? 2 * mib : 65 * mib);
      return std::string{env                   ? "is larger than 1 MiB"
                         : name == "keys.json" ? "is larger than 64 MiB"
                                               : "is larger than 16 MiB"};
    },
};

/// Returns the line of `text` that names `file`.
std::string line_about(const std::string& text, const std::string& file) {
  const auto at = text.find(file);
  if (at == std::string::npos) return {};
  const auto begin = text.rfind('\n', at) + 1;
  return text.substr(begin, text.find('\n', at) - begin);
}

}  // namespace

TEST_CASE("program: it exits with 2 and names the file if one is a pipe, a device, a directory or too large",
          "[service][program][reload]") {
  for (const auto* name :
       {".env", "keys.json", "cert.pem", "key.pem", "ca.pem", "litellm-ca.pem", "client.pem", "client.key"}) {
    for (const auto spoil_it : spoils) {
      const files all;
      const auto fault = spoil_it(all.folder, name);
      INFO(name << ' ' << fault);
      child_process refused{program, all.how(true)};
      CHECK(refused.wait(long_patience) == 2);
      CHECK(holds(line_about(refused.err(), name), fault));
    }
  }
}

TEST_CASE("program: a file that cannot be read at SIGHUP is named, the old values stay, and SIGTERM works",
          "[service][program][reload]") {
  for (const auto* name : {".env", "keys.json", "cert.pem", "litellm-ca.pem", "client.pem", "client.key"}) {
    const bool tls = std::string_view{name} == "cert.pem";
    for (const auto spoil_it : spoils) {
      const files all;
      auto how = all.how(tls);
      if (tls) how.environment.erase("LLM_PROXY__TLS_CLIENT_CA_FILE");
      child_process service{program, how};
      const auto port = port_of(service);
      REQUIRE(port != 0);
      const auto fault = spoil_it(all.folder, name);
      INFO(name << ' ' << fault);
      service.signal(SIGHUP);
      CHECK(service.wait_for_output(fault, long_patience));
      CHECK(service.wait_for_output(tls ? "stays" : "stay as they were", long_patience));
      CHECK(holds(line_about(service.out(), name), fault));
      if (!tls) {
        const auto models = request(port, "GET", "/v1/models", {{"x-internal-auth", "key-of-a"}});
        CHECK(models.status == 200);
        CHECK(holds(models.body, "\"fast\""));
      }
      service.signal(SIGTERM);
      CHECK(service.wait(long_patience) == 0);
    }
  }
}

TEST_CASE("program: files behind symbolic links that change, as Kubernetes swaps them, are read again",
          "[service][program][reload]") {
  const files all;
  const auto next =
      all.folder.write("next.json", R"({"keys":[{"name":"b","sha256":")" + sha256_hex("key-of-b") + "\"}]}");
  all.folder.write("first.json", keys_text());
  all.folder.put_link("keys.json", "first.json");
  child_process service{program, all.how(false)};
  const auto port = port_of(service);
  REQUIRE(port != 0);
  all.folder.put_link("keys.json", "next.json");
  service.signal(SIGHUP);
  CHECK(eventually([&] {
    return request(port, "GET", "/v1/models", {{"x-internal-auth", "key-of-b"}}).status == 200;
  }));
  service.signal(SIGTERM);
  CHECK(service.wait(long_patience) == 0);
}

TEST_CASE("command: keys neither waits for a pipe nor reads a device for ever", "[service][cli][reload]") {
  const file_folder folder;
  for (const auto& odd : odd_files(folder, "keys")) {
    for (const auto& words : std::vector<std::vector<std::string>>{
             {"keys", "list"}, {"keys", "add", "team-a"}, {"keys", "revoke", "team-a"}}) {
      INFO(odd.path << ' ' << words[1]);
      auto how = with({});
      how.arguments = words;
      how.arguments.insert(how.arguments.end(), {"--file", odd.path});
      child_process command{program, how};
      CHECK(command.wait(long_patience) == 1);
      CHECK(holds(line_about(command.err(), odd.path), odd.fault));
      CHECK(std::filesystem::exists(odd.path));
    }
  }
}

TEST_CASE("reload: a read of the files that never ends delays neither requests nor SIGTERM",
          "[service][program][reload]") {
  auto how = with(mock_environment(
      {{"LLM_PROXY__MOCK_CHUNK_DELAY_MS", "600000"}, {"LLM_PROXY__DRAIN_TIMEOUT", "200ms"}}));
  child_process service{STUCK_READER_BINARY, how};
  const auto port = port_of(service);
  REQUIRE(port != 0);
  service.signal(SIGHUP);
  // The log says that another SIGHUP has to wait, which shows that the read of the first one is under way.
  CHECK(eventually([&] {
    service.signal(SIGHUP);
    return service.wait_for_output("still being read", 50ms);
  }));
  CHECK(request(port, "GET", "/v1/models", {key_field}).status == 200);
  raw_connection client{port};
  REQUIRE(client.send(chat_bytes(chat_body("m", true, "a"))));
  REQUIRE(client.read_until("\n\n", patience).end == read_end::done);
  const auto since = test_clock::now();
  service.signal(SIGTERM);
  const auto rest = client.read_to_end(patience);
  CHECK(holds(rest.bytes, R"("code":"drained")"));
  client.close();
  CHECK(service.wait(long_patience) == 0);
  CHECK(test_clock::now() - since < 5s);
  CHECK(holds(service.out(), "what was still in flight has been cut"));
}

}  // namespace llm_proxy::test
