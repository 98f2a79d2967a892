// Runs the real binary with too little memory, and in a place without /proc, where it cannot know how much
// memory it uses. These tests are left out of sanitized builds: a sanitizer's allocator ends the process when
// memory runs out, and LeakSanitizer needs /proc.
#ifndef LLM_PROXY_PLAIN_NEW

#include "http/system/resident_memory.hpp"
#include "support/odd_files.hpp"
#include "support/program.hpp"
#include "support/upstream_chat.hpp"

#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <string>
#include <sys/resource.h>

namespace llm_proxy::test {

namespace {

using namespace std::chrono_literals;

/// Returns how many bytes of address space a process has, as /proc says.
std::size_t address_space_of(pid_t process) {
  std::ifstream status{"/proc/" + std::to_string(process) + "/status"};
  for (std::string word; status >> word;) {
    std::size_t kib = 0;
    if (word == "VmSize:" && status >> kib) return kib * 1024;
  }
  return 0;
}

void limit_address_space(pid_t process, rlim_t bytes) {
  const rlimit most{bytes, RLIM_INFINITY};
  REQUIRE(::prlimit(process, RLIMIT_AS, &most, nullptr) == 0);
}

response chat_at(std::uint16_t port) {
  return request(port, "POST", "/v1/chat/completions", {key_field}, chat_body("m"));
}

/// The program in a mount namespace of its own, whose /proc is empty.
child_process::options without_proc(environment values) {
  auto how = with(std::move(values));
  how.arguments = {"--mount", "sh", "-c", "mount -t tmpfs none /proc && exec \"$0\"", program};
  return how;
}

bool can_hide_proc() {
  return std::system("unshare --mount sh -c 'mount -t tmpfs none /proc' >/dev/null 2>&1") == 0;
}

}  // namespace

TEST_CASE("out of memory: a request for which there is no memory is a 503, and the service goes on",
          "[service][program][memory]") {
  child_process service{program, with(mock_environment({{"LLM_PROXY__MAX_BODY_BYTES", "268435456"},
                                                        {"LLM_PROXY__CLIENT_BODY_TIMEOUT", "60s"}}))};
  const auto port = port_of(service);
  REQUIRE(port != 0);
  REQUIRE(chat_at(port).status == 200);
  limit_address_space(service.pid(), address_space_of(service.pid()) + (std::size_t{48} << 20));
  constexpr std::size_t length = std::size_t{128} << 20;
  for (const std::string path : {"/v1/chat/completions", "/v1/messages", "/v1/responses"}) {
    INFO(path);
    raw_connection client{port};
    REQUIRE(client.send("POST " + path + " HTTP/1.1\r\nhost: x\r\n" + key_line +
                        "content-type: application/json\r\ncontent-length: " + std::to_string(length) +
                        "\r\n\r\n"));
    const std::string piece(std::size_t{1} << 20, ' ');
    for (std::size_t sent = 0; sent < length && client.send(piece); sent += piece.size()) {
    }
    const auto answer = read_response(client, 10s);
    CHECK(answer.status == 503);
    CHECK(holds(answer.body, R"("code":"out_of_resources")"));
    CHECK(holds(answer.body, "no memory left"));
    CHECK(chat_at(port).status == 200);
  }
  limit_address_space(service.pid(), RLIM_INFINITY);
  CHECK(chat_at(port).status == 200);
  service.signal(SIGTERM);
  CHECK(service.wait(long_patience) == 0);
}

TEST_CASE("without /proc: metrics that cannot be read are left out, and with MAX_MEMORY it does not start",
          "[service][program][memory]") {
  if (!can_hide_proc()) {
    WARN("SKIPPED: this process may not make a mount namespace");
    return;
  }
  child_process service{"/usr/bin/unshare", without_proc(mock_environment())};
  const auto port = port_of(service);
  REQUIRE(port != 0);
  const auto metrics = request(port, "GET", "/metrics", {key_field}).body;
  for (const std::string name : {"process_resident_memory_bytes", "process_open_fds"}) {
    INFO(name);
    CHECK_FALSE(holds(metrics, name));
  }
  for (const std::string name : {"process_cpu_seconds_total", "process_max_fds"}) CHECK(holds(metrics, name));
  service.signal(SIGTERM);
  CHECK(service.wait(long_patience) == 0);

  child_process limited{"/usr/bin/unshare",
                        without_proc(mock_environment({{"LLM_PROXY__MAX_MEMORY", "1GiB"}}))};
  CHECK(limited.wait(long_patience) == 1);
  CHECK(holds(limited.err(), "LLM_PROXY__MAX_MEMORY can have no effect: /proc/self/statm cannot be read"));
}

}  // namespace llm_proxy::test

#endif
