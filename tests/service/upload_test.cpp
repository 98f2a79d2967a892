// Multipart bodies: they pass unchanged, are not held in memory, and invalid ones are refused with the
// reason.
#include "support/any_path_upstream.hpp"
#include "support/catch.hpp"

#include <string>
#include <vector>

namespace llm_proxy::test {

namespace {

using namespace std::chrono_literals;

const std::string form_type = "multipart/form-data; boundary=\"b-1\"";

std::string form(std::size_t file_size) {
  return "--b-1\r\nContent-Disposition: form-data; "
         "name=\"model\"\r\n\r\nwhisper\r\n--b-1\r\nContent-Disposition: form-data; "
         "name=\"file\"; filename=\"a.wav\"\r\n\r\n" +
         std::string(file_size, '\xfe') + "\r\n--b-1--\r\n";
}

std::string form_head(std::string_view path, std::string_view framing) {
  return "POST " + std::string{path} + " HTTP/1.1\r\nhost: x\r\nx-internal-auth: " + std::string{test_key} +
         "\r\ncontent-type: " + form_type + "\r\n" + std::string{framing} + "\r\n\r\n";
}

}  // namespace

TEST_CASE("uploads: multipart bodies pass unchanged, by length or in chunks",
          "[service][upstream][surface]") {
  scripted_upstream up;
  proxy service{litellm_settings(up.url())};
  up.set_script(always(200, R"({"text":"heard"})"));
  for (const std::string path : {"/v1/audio/transcriptions", "/v1/audio/translations", "/v1/images/edits"}) {
    INFO(path);
    const auto body = form(3'000'000);
    const auto answer = request(service.port(), "POST", path, {key_field, {"content-type", form_type}}, body);
    CHECK(answer.status == 200);
    CHECK(answer.body == R"({"text":"heard"})");
    CHECK(sha256(last_of(up).body) == sha256(body));
    CHECK(last_of(up).header("content-type") == form_type);
    CHECK(last_of(up).header("content-length") == std::to_string(body.size()));
    raw_connection client{service.port()};
    REQUIRE(client.send(form_head(path, "transfer-encoding: chunked")));
    for (std::size_t at = 0; at < body.size(); at += 70'001) {
      const auto piece = body.substr(at, 70'001);
      char size[20];
      std::snprintf(size, sizeof size, "%zx\r\n", piece.size());
      REQUIRE(client.send(size + piece + "\r\n"));
    }
    REQUIRE(client.send("0\r\n\r\n"));
    CHECK(read_response(client, 5s).status == 200);
    CHECK(sha256(last_of(up).body) == sha256(body));
    CHECK(last_of(up).header("transfer-encoding") == "chunked");
  }
}

TEST_CASE(
    "uploads: upstream gets a multipart body while the client still sends it, and is cut when the client "
    "leaves",
    "[service][upstream][surface]") {
  gate began;
  scripted_upstream::options how;
  how.read_bodies = false;
  scripted_upstream up{[&](const upstream_request& req, upstream_reply& reply) {
                         if (asks_for_models(req)) {
                           reply.json(200, R"({"data":[]})");
                           return;
                         }
                         if (!reply.read_body(500ms).empty()) began.open();
                         reply.hang();
                       },
                       how};
  proxy service{litellm_settings(up.url())};
  auto client = std::make_unique<raw_connection>(service.port());
  const auto body = form(1'000'000);
  REQUIRE(
      client->send(form_head("/v1/audio/transcriptions", "content-length: " + std::to_string(body.size())) +
                   body.substr(0, 500'000)));
  CHECK(began.wait());
  client.reset();
  CHECK(up.closing_of(last_of(up).connection, 2s));
  CHECK(eventually([&] { return service.in_flight() == 0; }));
}

TEST_CASE("uploads: an upload that upstream does not read is not held in memory",
          "[service][upstream][surface]") {
  scripted_upstream::options how;
  how.read_bodies = false;
  how.receive_buffer = 16 * 1024;
  scripted_upstream up{[](const upstream_request& req, upstream_reply& reply) {
                         if (asks_for_models(req)) {
                           reply.json(200, R"({"data":[]})");
                         } else {
                           reply.hang();
                         }
                       },
                       how};
  proxy service{litellm_settings(up.url())};
  raw_connection client{service.port()};
  const std::size_t size = 30'000'000;
  REQUIRE(client.send(form_head("/v1/images/edits", "content-length: " + std::to_string(size))));
  // The client can send only as much as one window and the kernel's buffers on both sides hold.
  std::size_t sent = 0;
  const std::string piece(100'000, 'x');
  while (sent < size && client.send_some(piece, 300ms) == piece.size()) sent += piece.size();
  CHECK(sent < size / 2);
}

TEST_CASE("uploads: without the multipart type or a boundary, or if too large, they are refused",
          "[service][upstream][surface]") {
  scripted_upstream up;
  auto values = litellm_settings(up.url());
  values.max_body_bytes = 1000;
  proxy service{values};
  const auto sent_as = [&](const std::string& type, const std::string& body) {
    return request(service.port(), "POST", "/v1/audio/transcriptions", {key_field, {"content-type", type}},
                   body);
  };
  CHECK(sent_as("application/json", "{}").status == 415);
  const auto bare = sent_as("multipart/form-data", form(1));
  CHECK(bare.status == 400);
  CHECK(contains(bare.body, "boundary"));
  CHECK(sent_as("multipart/form-data; boundary=", form(1)).status == 400);
  CHECK(sent_as(form_type, form(1000)).status == 413);
  raw_connection client{service.port()};
  REQUIRE(client.send(form_head("/v1/audio/transcriptions", "transfer-encoding: chunked") + "5dc\r\n" +
                      std::string(1500, 'x') + "\r\n0\r\n\r\n"));
  CHECK(read_response(client, 5s).status == 413);
}

TEST_CASE("uploads: the client gets an answer that upstream sends before the upload ends",
          "[service][upstream][surface]") {
  scripted_upstream::options how;
  how.read_bodies = false;
  scripted_upstream up{always(429, R"({"error":{"message":"m","type":"t","param":null,"code":"c"}})"), how};
  proxy service{litellm_settings(up.url())};
  raw_connection client{service.port()};
  REQUIRE(client.send(form_head("/v1/images/edits", "content-length: 900000") + std::string(100, 'x')));
  const auto answer = read_response(client, 5s);
  CHECK(answer.status == 429);
  CHECK(eventually([&] { return service.in_flight() == 0; }));
}

}  // namespace llm_proxy::test
