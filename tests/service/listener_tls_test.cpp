// TLS on the listener: a connection behaves as without TLS, and faults of the TLS settings are reported.
#include "support/certificate.hpp"
#include "support/program.hpp"
#include "support/tls_client.hpp"

#include <atomic>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

namespace llm_proxy::test {

namespace {

using namespace std::chrono_literals;

settings with_tls(settings values, const certificate& cert) {
  values.tls_cert_file = cert.file();
  values.tls_key_file = cert.key();
  return values;
}

/// A service that test clients reach without TLS, or with TLS through a tunnel.
struct front {
  front(bool tls, settings values, const certificate& cert, fake_author author = {})
      : service{tls ? with_tls(std::move(values), cert) : std::move(values), std::move(author)} {
    if (tls) tunnel.emplace(service.port());
  }
  std::uint16_t port() const { return tunnel ? tunnel->port() : service.port(); }

  proxy service;
  std::optional<tls_tunnel> tunnel;
};

void copy_over(const std::string& from, const std::string& to) {
  std::filesystem::copy_file(from, to, std::filesystem::copy_options::overwrite_existing);
}

}  // namespace

TEST_CASE("tls listener: requests on one connection are answered in order, as without TLS",
          "[service][tls]") {
  const certificate cert;
  for (const bool tls : {false, true}) {
    INFO("TLS " << tls);
    const front to{tls, mock_settings(), cert};
    raw_connection client{to.port()};
    for (int i = 0; i < 3; ++i) {
      REQUIRE(client.send(chat_bytes(chat_body("m", false, "one")) + get_health +
                          chat_bytes(chat_body("m", true, "two"))));
      CHECK(holds(read_response(client, patience).body, "one"));
      CHECK(holds(read_response(client, patience).body, "healthy"));
      CHECK(sse_events(read_response(client, patience).body).back() == "[DONE]");
    }
    REQUIRE(client.send_slowly(chat_bytes(chat_body("m", false, "slow")), 7, 0ms));
    CHECK(holds(read_response(client, patience).body, "slow"));
    REQUIRE(client.send("GET /health HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"));
    CHECK(read_response(client, patience).status == 200);
    CHECK(client.wait_closed(patience) == read_end::eof);
  }
}

TEST_CASE("tls listener: a large body and a large answer pass whole, as without TLS", "[service][tls]") {
  const certificate cert;
  for (const bool tls : {false, true}) {
    INFO("TLS " << tls);
    scripted_upstream up{[](const upstream_request& asked, upstream_reply& reply) {
      reply.json(200, asked.method == "POST" ? asked.body : R"({"data":[]})");
    }};
    const front to{tls, litellm_settings(up.url()), cert};
    const auto body = chat_body("m", false, std::string(3'000'000, 'b'));
    raw_connection client{to.port()};
    for (int i = 0; i < 2; ++i) {
      REQUIRE(client.send(chat_bytes(body)));
      CHECK((read_response(client, patience).body == body));
    }
  }
}

TEST_CASE("tls listener: events come as they are made, and a client that leaves cancels upstream",
          "[service][tls]") {
  const certificate cert;
  for (const bool tls : {false, true}) {
    INFO("TLS " << tls);
    scripted_upstream up{[](const upstream_request& asked, upstream_reply& reply) {
      if (asked.method != "POST") return void(reply.json(200, R"({"data":[]})"));
      reply.sse_head();
      reply.event(R"({"choices":[{"index":0,"delta":{"content":"x"}}]})");
      reply.hang();
    }};
    const front to{tls, litellm_settings(up.url()), cert};
    raw_connection client{to.port()};
    REQUIRE(client.send(chat_bytes(chat_body("m", true))));
    REQUIRE(client.read_until("\"x\"", patience).end == read_end::done);
    client.close();
    for (const auto& asked : up.requests()) {
      if (asked.method == "POST") CHECK(up.closing_of(asked.connection, 2s));
    }
    CHECK(eventually([&] { return to.service.in_flight() == 0; }));
  }
}

TEST_CASE("tls listener: a client that does not read is disconnected, as without TLS", "[service][tls]") {
  const certificate cert;
  for (const bool tls : {false, true}) {
    INFO("TLS " << tls);
    auto values = mock_settings();
    values.client_write_timeout = 300ms;
    const std::string part(8'000, 'a');
    std::atomic<int> asked{0};
    const front to{tls, values, cert, [&](const llm_proxy::upstream_request&) {
                     ++asked;
                     fake_script script;
                     script.headers.add("content-type", "text/event-stream");
                     for (int i = 0; i < 3'000; ++i)
                       script.steps.push_back({0ms, "data: \"" + part + "\"\n\n"});
                     return script;
                   }};
    raw_connection::options small;
    small.receive_buffer = 4096;
    raw_connection client{to.port(), small};
    REQUIRE(client.send(chat_bytes(chat_body("m", true))));
    REQUIRE(client.read_until("\r\n\r\n", patience).end == read_end::done);
    CHECK(eventually([&] { return asked == 1 && to.service.in_flight() == 0; }));
  }
}

TEST_CASE("tls listener: a client that reads slowly stops upstream, as without TLS", "[service][tls]") {
  const certificate cert;
  for (const bool tls : {false, true}) {
    INFO("TLS " << tls);
    std::atomic<std::size_t> sent{0};
    const std::string part = "data: \"" + std::string(60'000, 'a') + "\"\n\n";
    scripted_upstream up{[&](const upstream_request& asked, upstream_reply& reply) {
      if (asked.method != "POST") return void(reply.json(200, R"({"data":[]})"));
      reply.sse_head();
      for (int i = 0; i < 2'000 && reply.chunk(part); ++i) sent += part.size();
    }};
    const front to{tls, litellm_settings(up.url()), cert};
    raw_connection client{to.port()};
    REQUIRE(client.send(chat_bytes(chat_body("m", true))));
    REQUIRE(client.read_until("\r\n\r\n", patience).end == read_end::done);
    std::size_t before = 0;
    REQUIRE(eventually([&] {
      std::this_thread::sleep_for(300ms);
      return std::exchange(before, sent.load()) == sent;
    }));
    CHECK(sent < 60'000'000);  // more than the system's buffers on the way to the client hold
    client.close();
  }
}

TEST_CASE("tls listener: a stream that is cut has no last chunk, as without TLS", "[service][tls]") {
  const certificate cert;
  for (const bool tls : {false, true}) {
    INFO("TLS " << tls);
    auto values = mock_settings();
    values.mock_chunk_delay_ms = 1h;
    front to{tls, values, cert};
    raw_connection client{to.port()};
    REQUIRE(client.send(chat_bytes(chat_body("m", true))));
    REQUIRE(client.read_until("\n\n", patience).end == read_end::done);
    CHECK_FALSE(to.service.drain_connections(50ms));
    const auto rest = client.read_to_end(patience);
    CHECK(holds(rest.bytes, R"("code":"drained")"));
    CHECK_FALSE(holds(rest.bytes, "\r\n0\r\n\r\n"));
  }
}

TEST_CASE("tls listener: a whole answer ends with close_notify, and one that was cut does not",
          "[service][tls]") {
  const certificate cert;
  auto values = with_tls(mock_settings(), cert);
  values.keep_alive_timeout = 300ms;
  values.mock_chunk_delay_ms = 1h;
  std::optional<proxy> service{std::in_place, values};
  tls_client idle{service->port()};
  REQUIRE(idle.ok());
  REQUIRE(idle.send(get_health));
  REQUIRE(idle.read_until("\"}", patience).end == read_end::done);
  CHECK(idle.read_to_end(patience).end == read_end::done);
  tls_client last{service->port()};
  REQUIRE(last.send("GET /health HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"));
  const auto answer = last.read_to_end(patience);
  CHECK(answer.end == read_end::done);
  CHECK(holds(answer.bytes, "healthy"));
  tls_client cut{service->port()};
  REQUIRE(cut.send(chat_bytes(chat_body("m", true))));
  REQUIRE(cut.read_until("\n\n", patience).end == read_end::done);
  service.reset();
  CHECK(cut.read_to_end(patience).end != read_end::done);
}

TEST_CASE("tls listener: TLS 1.2 and 1.3 are spoken, older versions are not", "[service][tls]") {
  const certificate cert;
  const proxy service{with_tls(mock_settings(), cert)};
  for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    tls_options how;
    how.highest = version;
    tls_client client{service.port(), how};
    REQUIRE(client.ok());
    CHECK(SSL_version(client.native()) == version);
    CHECK(client.send(get_health));
    CHECK(holds(client.read_until("\"}", patience).bytes, "HTTP/1.1 200"));
  }
  tls_options old;
  old.highest = TLS1_1_VERSION;
  CHECK_FALSE(tls_client{service.port(), old}.ok());
}

TEST_CASE("tls listener: TLS 1.2 has Mozilla's intermediate suites, and no others", "[service][tls]") {
  const bool rsa = GENERATE(false, true);
  const certificate cert{rsa ? "rsa:2048" : "ec -pkeyopt ec_paramgen_curve:prime256v1"};
  const proxy service{with_tls(mock_settings(), cert)};
  const auto agrees = [&](const std::string& suite) {
    tls_options how;
    how.highest = TLS1_2_VERSION;
    how.suites = suite;
    tls_client client{service.port(), how};
    return client.ok() && suite == SSL_get_cipher_name(client.native()) && client.send(get_health) &&
           holds(client.read_until("\"}", patience).bytes, "HTTP/1.1 200");
  };
  for (const std::string kind : {"ECDHE-ECDSA", "ECDHE-RSA", "DHE-RSA"}) {
    for (const std::string cipher : {"-AES128-GCM-SHA256", "-AES256-GCM-SHA384", "-CHACHA20-POLY1305"}) {
      INFO(kind + cipher);
      CHECK(agrees(kind + cipher) == (kind.ends_with("RSA") == rsa));
    }
  }
  // Suites with static RSA or CBC, and others that OpenSSL offers.
  for (const std::string suite :
       {"AES128-SHA", "AES256-SHA", "AES128-SHA256", "AES256-SHA256", "AES128-GCM-SHA256",
        "AES256-GCM-SHA384", "AES128-CCM", "ECDHE-RSA-AES128-SHA", "ECDHE-RSA-AES256-SHA",
        "ECDHE-RSA-AES128-SHA256", "ECDHE-RSA-AES256-SHA384", "ECDHE-ECDSA-AES128-SHA",
        "ECDHE-ECDSA-AES256-SHA384", "ECDHE-ECDSA-AES128-CCM", "DHE-RSA-AES128-SHA", "DHE-RSA-AES256-SHA256",
        "DHE-RSA-AES128-CCM"}) {
    INFO(suite);
    CHECK_FALSE(agrees(suite));
  }
}

TEST_CASE("tls listener: ALPN chooses http/1.1 or nothing", "[service][tls]") {
  const certificate cert;
  const proxy service{with_tls(mock_settings(), cert)};
  tls_options how;
  how.protocols = "\x02h2\x08http/1.1";
  CHECK(tls_client{service.port(), how}.protocol() == "http/1.1");
  how.protocols = "\x02h2";
  CHECK_FALSE(tls_client{service.port(), how}.ok());
}

TEST_CASE("tls listener: with TLS_CLIENT_CA_FILE clients need a certificate that it has signed",
          "[service][tls]") {
  const certificate cert;
  const certificate trusted;
  const certificate stranger;
  auto values = with_tls(mock_settings(), cert);
  values.tls_client_ca_file = trusted.file();
  const proxy service{values};
  const auto is_served = [&](const certificate* own) {
    tls_options how;
    if (own != nullptr) {
      how.certificate = own->file();
      how.key = own->key();
    }
    tls_client client{service.port(), how};
    // In TLS 1.3 a client learns that it was refused only when it reads.
    return client.ok() && client.send(get_health) &&
           holds(client.read_until("\"}", patience).bytes, "healthy");
  };
  CHECK(is_served(&trusted));
  CHECK_FALSE(is_served(&stranger));
  CHECK_FALSE(is_served(nullptr));
}

TEST_CASE("tls listener: plain HTTP gets an answer that says to use https, other bytes end the connection",
          "[service][tls]") {
  const certificate cert;
  const proxy service{with_tls(mock_settings(), cert)};
  raw_connection plain{service.port()};
  REQUIRE(plain.send(get_health));
  const auto answer = read_response(plain, patience);
  CHECK(answer.status == 400);
  CHECK(answer.complete);
  CHECK(answer.header("connection") == "close");
  CHECK(holds(answer.body, "https://"));
  CHECK(plain.wait_closed(patience) == read_end::eof);
  raw_connection noise{service.port()};
  REQUIRE(noise.send(std::string(5'000, 'x')));
  CHECK(noise.wait_closed(patience) == read_end::eof);
  raw_connection gone{service.port()};
  gone.half_close();
  CHECK(gone.wait_closed(patience) == read_end::eof);
}

TEST_CASE("tls listener: a connection without a handshake is closed, and does not delay a drain",
          "[service][tls]") {
  const certificate cert;
  auto values = with_tls(mock_settings(), cert);
  values.client_head_timeout = 300ms;
  {
    const proxy service{values};
    raw_connection silent{service.port()};
    raw_connection begun{service.port()};
    REQUIRE(begun.send("\x16\x03\x01"));
    const auto since = test_clock::now();
    CHECK(silent.wait_closed(patience) == read_end::eof);
    CHECK(begun.wait_closed(patience) != read_end::timeout);
    CHECK(test_clock::now() - since < 3s);
  }
  values.client_head_timeout = 1h;
  proxy service{values};
  raw_connection silent{service.port()};
  CHECK(service.drain_connections(10s));
}

TEST_CASE("tls listener: after a reload new connections get the new files, and faulty files change nothing",
          "[service][tls]") {
  const certificate used;
  const certificate next;
  proxy service{with_tls(mock_settings(), used)};
  tls_client before{service.port()};
  const auto first = before.server_certificate();
  copy_over(next.file(), used.file());
  service.reload_tls();  // changes nothing, because the key still belongs to the first certificate
  CHECK(tls_client{service.port()}.server_certificate() == first);
  copy_over(next.key(), used.key());
  service.reload_tls();
  CHECK(eventually([&] { return tls_client{service.port()}.server_certificate() != first; }));
  tls_options verifying;
  verifying.trusted = next.file();
  CHECK(tls_client{service.port(), verifying}.ok());
  std::ofstream{used.file()} << "rubbish";
  service.reload_tls();
  CHECK(tls_client{service.port(), verifying}.ok());
  // A connection that is open goes on.
  REQUIRE(before.send(get_health));
  CHECK(holds(before.read_until("\"}", patience).bytes, "healthy"));
}

TEST_CASE("tls listener: SIGHUP reads the files again, and does no harm without TLS",
          "[service][tls][program]") {
  const certificate used;
  const certificate next;
  child_process service{program, with(mock_environment({{"LLM_PROXY__TLS_CERT_FILE", used.file()},
                                                        {"LLM_PROXY__TLS_KEY_FILE", used.key()}}))};
  const auto port = port_of(service);
  REQUIRE(port != 0);
  const auto first = tls_client{port}.server_certificate();
  copy_over(next.file(), used.file());
  copy_over(next.key(), used.key());
  service.signal(SIGHUP);
  CHECK(eventually([&] { return tls_client{port}.server_certificate() != first; }));
  service.signal(SIGTERM);
  CHECK(service.wait(long_patience) == 0);
  child_process plain{program, with(mock_environment())};
  const auto plain_port = port_of(plain);
  plain.signal(SIGHUP);
  CHECK(request(plain_port, "GET", "/health").status == 200);
  plain.signal(SIGTERM);
  CHECK(plain.wait(long_patience) == 0);
}

TEST_CASE("tls listener: with half a pair, a wrong key or invalid files the program exits with 2",
          "[service][tls][program]") {
  const certificate cert;
  const certificate other;
  using variables = environment;
  const std::string cert_name = "LLM_PROXY__TLS_CERT_FILE";
  const std::string key_name = "LLM_PROXY__TLS_KEY_FILE";
  const std::string ca_name = "LLM_PROXY__TLS_CLIENT_CA_FILE";
  const std::vector<std::pair<variables, std::vector<std::string>>> rows{
      {{{cert_name, cert.file()}}, {key_name + " is missing"}},
      {{{key_name, cert.key()}}, {cert_name + " is missing"}},
      {{{ca_name, cert.file()}}, {cert_name + " is missing", key_name + " is missing"}},
      {{{cert_name, cert.file()}, {key_name, other.key()}}, {key_name + ": ", "does not belong"}},
      {{{cert_name, "/nowhere/a"}, {key_name, "/nowhere/b"}},
       {cert_name + ": /nowhere/a", key_name + ": /nowhere/b"}},
      {{{cert_name, "/tmp"}, {key_name, cert.file()}}, {cert_name + ": /tmp", key_name + ": " + cert.file()}},
      {{{cert_name, cert.file()}, {key_name, cert.key()}, {ca_name, cert.key()}}, {ca_name + ": "}},
  };
  for (const auto& [values, said] : rows) {
    child_process service{program, with(mock_environment(values))};
    CHECK(service.wait(long_patience) == 2);
    INFO(service.err());
    for (const auto& part : said) {
      INFO(part);
      CHECK(holds(service.err(), part));
    }
  }
}

}  // namespace llm_proxy::test
