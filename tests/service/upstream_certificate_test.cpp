// Certificates between this service and an https LiteLLM: why LiteLLM's is refused, and the client
// certificate that this service shows.
#include "actors/service/service_parts.hpp"
#include "support/program.hpp"
#include "support/test_certificates.hpp"
#include "support/tls_client.hpp"
#include "support/tls_front.hpp"
#include "support/upstream_chat.hpp"

#include <csignal>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace llm_proxy::test {

namespace {

using namespace std::chrono_literals;

upstream_script closing() {
  return [](const upstream_request&, upstream_reply& reply) {
    reply.json(200, R"({"data":[]})", {{"connection", "close"}});
    reply.close();
  };
}

environment litellm_environment(const std::string& url, environment more) {
  more.emplace("LLM_PROXY__LLM_MODE", "litellm");
  more.emplace("LLM_PROXY__LITELLM_PROXY_URL", url);
  return mock_environment(std::move(more));
}

/// Returns what check-config prints to stderr for these options.
std::string checked(environment values, int expected_exit) {
  child_process check{program, with_argument("check-config", std::move(values))};
  CHECK(check.wait(long_patience) == expected_exit);
  return check.err();
}

/// The certificates of these tests: an authority, and the two sides that it has signed.
struct parties {
  test_certificate root{{.name = "root", .authority = true}};
  test_certificate server{{.name = "litellm", .host = "localhost"}, &root};
  test_certificate ours{{.name = "llm-proxy"}, &root};

  tls_front::options demanding(int highest = 0) const {
    return {server.file(), server.key(), root.file(), highest};
  }
  settings values_for(const std::string& url, const test_certificate* shown) const {
    auto values = litellm_settings(url);
    values.litellm_ca_file = root.file();
    if (shown != nullptr) {
      values.litellm_client_cert_file = shown->file();
      values.litellm_client_key_file = shown->key();
    }
    return values;
  }
};

/// Sends a chat through the service on `port`. Returns the name in the certificate that the service then
/// showed to LiteLLM.
std::string last_shown(const tls_front& front, std::uint16_t port) {
  CHECK(request(port, "POST", "/v1/chat/completions", {key_field}, chat_body("m"), long_patience).status ==
        200);
  return front.shown().back();
}

}  // namespace

TEST_CASE("upstream certificate: the log and the command line say why it is refused, and the answer does not",
          "[service][upstream][tls]") {
  const test_certificate root{{.name = "root", .authority = true}};
  const test_certificate between{{.name = "between", .authority = true}, &root};
  const test_certificate expired{{.name = "x", .host = "localhost", .from = -48h, .until = -24h}, &root};
  const test_certificate early{{.name = "x", .host = "localhost", .from = 24h, .until = 48h}, &root};
  const test_certificate other_host{{.name = "x", .host = "elsewhere"}, &root};
  const test_certificate alone{{.name = "x", .host = "localhost"}};
  const test_certificate no_chain{{.name = "x", .host = "localhost"}, &between};
  struct row {
    const test_certificate* shown;
    std::string said;
  };
  for (const auto& [shown, said] : std::vector<row>{
           {&expired, "certificate has expired"},
           {&early, "certificate is not yet valid"},
           {&other_host, "hostname mismatch"},
           {&alone, "self-signed certificate (trusted only if the file of authorities holds it)"},
           {&no_chain, "unable to get local issuer certificate (the server does not send its whole chain"}}) {
    INFO(said);
    scripted_upstream up{closing()};
    const tls_front front{{shown->file(), shown->key()}, up.port()};
    const auto reason = "the certificate of localhost is not accepted: " + said;
    child_process service{
        program, with(litellm_environment(front.url(), {{"LLM_PROXY__LITELLM_CA_FILE", root.file()}}))};
    const auto port = port_of(service);
    REQUIRE(port != 0);
    CHECK(service.wait_for_output("model list: upstream_unreachable (" + reason, long_patience));
    const auto answer =
        request(port, "POST", "/v1/chat/completions", {key_field}, chat_body("m"), long_patience);
    CHECK(answer.status == 502);
    CHECK_FALSE(holds(answer.body, "certificate"));
    CHECK(service.wait_for_output("\"detail\":\"" + reason, long_patience));
    service.signal(SIGTERM);
    CHECK(service.wait(long_patience) == 0);

    auto how = with({});
    how.arguments = {"health", "--url", front.url(), "--ca-file", root.file()};
    child_process health{program, how};
    CHECK(health.wait(long_patience) == 1);
    CHECK(holds(health.err(), "no TLS connection: " + reason));
  }
}

TEST_CASE("upstream certificate: an address needs a certificate for that address",
          "[service][upstream][tls]") {
  const parties all;
  scripted_upstream up{closing()};
  const tls_front front{{all.server.file(), all.server.key()}, up.port()};
  auto how = with({});
  how.arguments = {"health", "--url", "https://127.0.0.1:" + std::to_string(front.port()), "--ca-file",
                   all.root.file()};
  child_process health{program, how};
  CHECK(health.wait(long_patience) == 1);
  CHECK(holds(health.err(), "the certificate of 127.0.0.1 is not accepted: IP address mismatch"));
}

TEST_CASE("client certificate: a LiteLLM that demands one gets ours, for requests, model list and probes",
          "[service][upstream][tls]") {
  const parties all;
  for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    INFO("TLS " << version);
    std::atomic<bool> ill{true};
    scripted_upstream up{[&](const upstream_request& req, upstream_reply& reply) {
      const bool fails = is_chat(req) && ill;
      reply.json(fails ? 500 : 200,
                 fails ? R"({"error":{"message":"oops","type":"None","param":"None","code":"500"}})"
                       : R"({"data":[]})",
                 {{"connection", "close"}});
      reply.close();
    }};
    scripted_upstream plain{closing()};
    const tls_front front{all.demanding(version), up.port()};
    auto values = all.values_for(front.url(), &all.ours);
    values.litellm_proxy_url.push_back(plain.url());
    proxy service{values};
    const auto& table = *service.shared().front().upstreams;
    for (int i = 0; i < 60 && table.usable(0); ++i) chat(service, chat_body("m"), header_list{});
    REQUIRE_FALSE(table.usable(0));
    ill = false;
    REQUIRE(eventually([&] { return table.usable(0); }, 8s));  // after a probe that succeeds
    up.clear_requests();
    CHECK(eventually(
        [&] {
          CHECK(chat(service, chat_body("m"), header_list{}).status == 200);
          return !chats_of(up).empty();
        },
        8s));
    for (const auto& name : front.shown()) CHECK(name == "llm-proxy");
  }
}

TEST_CASE("client certificate: the model list is fetched with it", "[service][upstream][tls]") {
  const parties all;
  scripted_upstream up{closing()};
  const tls_front front{all.demanding(), up.port()};
  proxy service{all.values_for(front.url(), &all.ours)};
  CHECK(get(service, "/v1/models").status == 200);
  CHECK(front.shown() == std::vector<std::string>(front.shown().size(), "llm-proxy"));
}

TEST_CASE("client certificate: without one that LiteLLM accepts a request is a 502, and the log says why",
          "[service][upstream][tls]") {
  const parties all;
  const test_certificate stranger{{.name = "stranger"}};
  for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    for (const auto* shown : {static_cast<const test_certificate*>(nullptr), &stranger}) {
      INFO("TLS " << version << (shown == nullptr ? ", none" : ", a stranger's"));
      scripted_upstream up{closing()};
      const tls_front front{all.demanding(version), up.port()};
      environment more{{"LLM_PROXY__LITELLM_CA_FILE", all.root.file()}};
      if (shown != nullptr) {
        more["LLM_PROXY__LITELLM_CLIENT_CERT_FILE"] = shown->file();
        more["LLM_PROXY__LITELLM_CLIENT_KEY_FILE"] = shown->key();
      }
      child_process service{program, with(litellm_environment(front.url(), more))};
      const auto port = port_of(service);
      REQUIRE(port != 0);
      const auto answer =
          request(port, "POST", "/v1/chat/completions", {key_field}, chat_body("m"), long_patience);
      CHECK(answer.status == 502);
      CHECK(holds(answer.body, R"("code":"upstream_unreachable")"));
      CHECK_FALSE(holds(answer.body, "certificate"));
      CHECK(service.wait_for_output("\"detail\":\"the server refuses the TLS handshake: ", long_patience));
      if (shown == nullptr && version == TLS1_3_VERSION)
        CHECK(service.wait_for_output("it demands a client certificate", long_patience));
      CHECK(up.request_count() == 0);
      // If another upstream is usable no request fails.
      scripted_upstream well{closing()};
      auto values = all.values_for(front.url(), shown);
      values.litellm_proxy_url.push_back(well.url());
      proxy several{values};
      for (int i = 0; i < 8; ++i) CHECK(chat(several, chat_body("m"), header_list{}).status == 200);
      service.signal(SIGTERM);
      CHECK(service.wait(long_patience) == 0);
    }
  }
}

TEST_CASE("client certificate: a renewed one is used after SIGHUP, even if no option has changed",
          "[service][upstream][tls][reload]") {
  const parties all;
  const test_certificate next{{.name = "renewed"}, &all.root};
  const file_folder folder;
  const auto certificate = folder.put_link("client.pem", all.ours.file());
  const auto key = folder.put_link("client.key", all.ours.key());
  scripted_upstream up{closing()};
  const tls_front front{all.demanding(), up.port()};
  child_process service{
      program, with(litellm_environment(front.url(), {{"LLM_PROXY__LITELLM_CA_FILE", all.root.file()},
                                                      {"LLM_PROXY__LITELLM_CLIENT_CERT_FILE", certificate},
                                                      {"LLM_PROXY__LITELLM_CLIENT_KEY_FILE", key}}))};
  const auto port = port_of(service);
  REQUIRE(port != 0);
  CHECK(last_shown(front, port) == "llm-proxy");
  // A renewal that is half done: the new certificate is there, but not its key.
  folder.put_link("client.pem", next.file());
  service.signal(SIGHUP);
  CHECK(service.wait_for_output("LLM_PROXY__LITELLM_CLIENT_KEY_FILE: " + key + " does not belong",
                                long_patience));
  CHECK(service.wait_for_output("stay as they were", long_patience));
  CHECK(last_shown(front, port) == "llm-proxy");
  folder.put_link("client.key", next.key());
  service.signal(SIGHUP);
  CHECK(service.wait_for_output("TLS files for LiteLLM read again", long_patience));
  CHECK(last_shown(front, port) == "renewed");
  service.signal(SIGTERM);
  CHECK(service.wait(long_patience) == 0);
}

TEST_CASE("client certificate: with faulty options at SIGHUP a renewed one is read from the path in force",
          "[service][upstream][tls][reload]") {
  const parties all;
  const test_certificate next{{.name = "moved"}, &all.root};
  const test_certificate last{{.name = "renewed"}, &all.root};
  const file_folder folder;
  const auto put = [&](const std::string& where, const test_certificate& shown) {
    folder.put_link(where + ".pem", shown.file());
    folder.put_link(where + ".key", shown.key());
  };
  put("old", all.ours);
  put("new", next);
  const auto write_options = [&](const std::string& where, const std::string& more) {
    folder.write(".env", "LLM_PROXY__LITELLM_CA_FILE=" + all.root.file() +
                             "\nLLM_PROXY__LITELLM_CLIENT_CERT_FILE=" + folder.path(where + ".pem") +
                             "\nLLM_PROXY__LITELLM_CLIENT_KEY_FILE=" + folder.path(where + ".key") + "\n" +
                             more);
  };
  write_options("old", "");
  scripted_upstream up{closing()};
  const tls_front front{all.demanding(), up.port()};
  auto how = with(litellm_environment(front.url(), {}));
  how.directory = folder.path();
  child_process service{program, how};
  const auto port = port_of(service);
  REQUIRE(port != 0);
  CHECK(last_shown(front, port) == "llm-proxy");
  write_options("new", "");
  service.signal(SIGHUP);
  CHECK(service.wait_for_output("SIGHUP: changed: LLM_PROXY__LITELLM_CLIENT_CERT_FILE", long_patience));
  CHECK(last_shown(front, port) == "moved");
  // The old files may be gone: nothing may need them any more.
  std::filesystem::remove(folder.path("old.pem"));
  put("new", last);
  write_options("new", "LLM_PROXY__RETRIES=many\n");
  service.signal(SIGHUP);
  CHECK(service.wait_for_output("SIGHUP: the options stay as they were", long_patience));
  // The log may have said since the first SIGHUP that the files were read again.
  CHECK(eventually([&] { return last_shown(front, port) == "renewed"; }));
  CHECK_FALSE(holds(service.out(), "old.pem"));
  service.signal(SIGTERM);
  CHECK(service.wait(long_patience) == 0);
}

TEST_CASE("client certificate: one that has no effect or cannot be used is refused at the start",
          "[service][upstream][tls]") {
  const parties all;
  const std::string https = "https://localhost:4000";
  const std::string cert_option = "LLM_PROXY__LITELLM_CLIENT_CERT_FILE";
  const std::string key_option = "LLM_PROXY__LITELLM_CLIENT_KEY_FILE";
  const auto said = [&](const std::string& url, const std::string& cert, const std::string& key, int exit) {
    environment more;
    if (!cert.empty()) more[cert_option] = cert;
    if (!key.empty()) more[key_option] = key;
    return checked(litellm_environment(url, more), exit);
  };
  CHECK(said(https, all.ours.file(), all.ours.key(), 0).empty());
  CHECK(said("http://localhost:4000," + https, all.ours.file(), all.ours.key(), 0).empty());
  CHECK(holds(said(https, all.ours.file(), "", 2), key_option + " is missing: " + cert_option));
  CHECK(holds(said(https, "", all.ours.key(), 2), cert_option + " is missing: " + key_option));
  CHECK(holds(said("http://localhost:4000", all.ours.file(), all.ours.key(), 2),
              cert_option + " has no effect: no address of LLM_PROXY__LITELLM_PROXY_URL is https"));
  CHECK(holds(said(https, all.ours.file(), all.server.key(), 2), "does not belong to the certificate"));
  CHECK(holds(said(https, all.ours.key(), all.ours.key(), 2), "is no PEM certificate"));
  CHECK(holds(said(https, "/no/such/file", all.ours.key(), 2), cert_option + ": /no/such/file "));
  const test_certificate old{{.name = "old", .from = -48h, .until = -24h}, &all.root};
  CHECK(holds(said(https, old.file(), old.key(), 0), "the certificate CN=old has expired"));
}

TEST_CASE("upstream tls: a file for https upstreams is refused if there is none, at the start and at SIGHUP",
          "[service][upstream][tls][reload]") {
  const parties all;
  const std::string http = "http://localhost:4000";
  const std::string https = "https://localhost:4000";
  const environment files{{"LLM_PROXY__LITELLM_CA_FILE", all.root.file()},
                          {"LLM_PROXY__LITELLM_CLIENT_CERT_FILE", all.ours.file()},
                          {"LLM_PROXY__LITELLM_CLIENT_KEY_FILE", all.ours.key()}};
  const auto fault = [](const std::string& name) {
    return name + " has no effect: no address of LLM_PROXY__LITELLM_PROXY_URL is https";
  };
  CHECK(checked(litellm_environment(https, files), 0).empty());
  CHECK(checked(litellm_environment(http + "," + https, files), 0).empty());
  const auto all_faults = checked(litellm_environment(http, files), 2);
  for (const auto& [name, file] : files) CHECK(holds(all_faults, fault(name)));
  // Mock mode asks nobody; the options are checked all the same, as those that it will have without the mock.
  const std::string authorities = "LLM_PROXY__LITELLM_CA_FILE";
  CHECK(holds(checked(mock_environment({{authorities, all.root.file()}}), 2), fault(authorities)));
  child_process refused{program, with(litellm_environment(http, {{authorities, all.root.file()}}))};
  CHECK(refused.wait(long_patience) == 2);
  CHECK(holds(refused.err(), fault(authorities)));

  const file_folder folder;
  const auto write_options = [&](const std::string& url) {
    folder.write(".env",
                 "LLM_PROXY__LITELLM_PROXY_URL=" + url + "\n" + authorities + "=" + all.root.file() + "\n");
  };
  write_options(https);
  auto how = with(mock_environment());
  how.directory = folder.path();
  child_process service{program, how};
  REQUIRE(port_of(service) != 0);
  write_options(http);
  service.signal(SIGHUP);
  CHECK(service.wait_for_output(fault(authorities), long_patience));
  CHECK(service.wait_for_output("the options stay as they were", long_patience));
  service.signal(SIGTERM);
  CHECK(service.wait(long_patience) == 0);
}

TEST_CASE("tls listener: a certificate that clients will refuse causes a warning at the start",
          "[service][tls]") {
  const test_certificate root{{.name = "root", .authority = true}};
  const test_certificate old{{.name = "old", .host = "localhost", .from = -48h, .until = -24h}, &root};
  const auto said = [&](const std::string& cert, const std::string& key) {
    return checked(mock_environment({{"LLM_PROXY__TLS_CERT_FILE", cert}, {"LLM_PROXY__TLS_KEY_FILE", key}}),
                   0);
  };
  const auto warnings = said(old.file(), old.key());
  CHECK(holds(warnings, "llm-proxy: warning: LLM_PROXY__TLS_CERT_FILE: " + old.file() +
                            ": the certificate CN=old has expired"));
  CHECK(holds(warnings, "stands without that of its issuer CN=root"));
  const test_certificate good{{.name = "good", .host = "localhost"}, &root};
  CHECK(said(good.chain({&root}), good.key()).empty());
}

TEST_CASE("tls listener: the log says at DEBUG why a client's certificate is refused", "[service][tls]") {
  const parties all;
  const test_certificate old{{.name = "client", .from = -48h, .until = -24h}, &all.root};
  child_process service{program, with(mock_environment({{"LLM_PROXY__TLS_CERT_FILE", all.server.file()},
                                                        {"LLM_PROXY__TLS_KEY_FILE", all.server.key()},
                                                        {"LLM_PROXY__TLS_CLIENT_CA_FILE", all.root.file()},
                                                        {"LLM_PROXY__LOG_LEVEL", "DEBUG"}}))};
  const auto port = port_of(service);
  REQUIRE(port != 0);
  tls_client client{port, {.certificate = old.file(), .key = old.key()}};
  CHECK(service.wait_for_output("TLS handshake: certificate verify failed: certificate has expired",
                                long_patience));
  service.signal(SIGTERM);
  CHECK(service.wait(long_patience) == 0);
}

}  // namespace llm_proxy::test
