// A log that cannot be written: the service neither ends nor waits, and every line that is lost is counted.
#include "support/program.hpp"
#include "support/upstream_chat.hpp"

#include <algorithm>
#include <csignal>
#include <string>
#include <string_view>
#include <vector>

namespace llm_proxy::test {

namespace {

using namespace std::chrono_literals;

double metric(std::uint16_t port, const std::string& sample) {
  const auto text = request(port, "GET", "/metrics", {key_field}).body;
  const auto at = text.find("\n" + sample + " ");
  return at == std::string::npos ? -1 : std::stod(text.substr(at + sample.size() + 2));
}

std::string lost(std::string_view reason) {
  return "llm_proxy_log_lines_lost_total{reason=\"" + std::string{reason} + "\"}";
}

bool comes_up(std::uint16_t port) {
  return eventually([port] {
    try {
      raw_connection client{port};
      return true;
    } catch (const std::system_error&) {
      return false;
    }
  });
}

std::size_t count_of(std::string_view text, std::string_view part) {
  std::size_t count = 0;
  for (auto at = text.find(part); at != std::string_view::npos; at = text.find(part, at + 1)) ++count;
  return count;
}

/// Sends `many` requests for /health on one connection, `at_once` of them in each write.
void ask_for_health(std::uint16_t port, std::size_t many, std::size_t at_once) {
  raw_connection client{port};
  std::string burst;
  for (std::size_t i = 0; i < at_once; ++i) burst += get_health;
  for (std::size_t i = 0; i < many; i += at_once) {
    REQUIRE(client.send(burst));
    for (std::size_t k = 0; k < at_once; ++k) REQUIRE(read_response(client, patience).status == 200);
  }
}

}  // namespace

TEST_CASE(
    "log: a full disk neither ends nor delays the service, is reported once, and lost lines are counted",
    "[service][program][log]") {
  const auto port = free_port();
  auto how = with(mock_environment({{"LLM_PROXY__PORT", std::to_string(port)}}));
  how.output_file = "/dev/full";
  child_process service{program, how};
  REQUIRE(comes_up(port));
  ask_for_health(port, 300, 10);
  CHECK(eventually(
      [&] { return metric(port, lost("disk_full")) >= 301; }));  // the first line and the requests'
  ask_for_health(port, 300, 10);
  CHECK(eventually([&] { return metric(port, lost("disk_full")) >= 601; }));
  CHECK(metric(port, lost("reader_gone")) == 0);
  service.signal(SIGTERM);
  CHECK(service.wait(long_patience) == 0);
  CHECK(count_of(service.err(), "the log cannot be written: No space left on device") == 1);
  CHECK(count_of(service.err(), "\n") == 1);
}

TEST_CASE("log: without a reader the service neither ends nor waits, reports it once, and counts lost lines",
          "[service][program][log]") {
  const auto port = free_port();
  auto how = with(mock_environment({{"LLM_PROXY__PORT", std::to_string(port)}}));
  how.closed_output = true;
  child_process service{program, how};
  REQUIRE(comes_up(port));
  ask_for_health(port, 300, 10);
  CHECK(eventually([&] { return metric(port, lost("reader_gone")) >= 301; }));
  CHECK(metric(port, lost("disk_full")) == 0);
  service.signal(SIGTERM);
  CHECK(service.wait(long_patience) == 0);
  CHECK(count_of(service.err(), "the log cannot be written: Broken pipe") == 1);
  CHECK(count_of(service.err(), "\n") == 1);
}

TEST_CASE(
    "log: if a pipe is not read for a while, the lines that arrive and those reported as lost are all lines",
    "[service][program][log]") {
  const auto port = free_port();
  child_process service{
      program,
      with(mock_environment({{"LLM_PROXY__PORT", std::to_string(port)}, {"LLM_PROXY__THREADS", "1"}}))};
  REQUIRE(comes_up(port));
  // First bursts, whose lines share an entry of the log's queue, and then more single lines than it has
  // entries.
  std::size_t requests = 0;
  const auto ask = [&](std::size_t many, std::size_t at_once) {
    ask_for_health(port, many, at_once);
    requests += many;
  };
  ask(20'000, 50);
  ask(2'000, 1);
  const auto dropped = metric(port, lost("queue_full"));
  ++requests;
  CHECK(dropped > 0);
  CHECK(request(port, "GET", "/health").status == 200);
  ++requests;
  service.signal(SIGTERM);
  CHECK(service.wait(long_patience) == 0);

  std::size_t read = 0;
  std::size_t told = 0;
  const auto& log = service.out();
  for (std::size_t begin = 0; begin < log.size();) {
    const auto end = log.find('\n', begin);
    REQUIRE(end != std::string::npos);
    const auto line = log.substr(begin, end - begin);
    const auto report = line.find(" log lines lost");
    if (report == std::string::npos)
      ++read;
    else
      told += std::stoul(line.substr(line.rfind('"', report) + 1));
    begin = end + 1;
  }
  CHECK(static_cast<double>(told) >= dropped);
  // The service logs three lines of its own: that it listens, the signal, and that all requests have ended.
  CHECK(read + told == requests + 3);
}

}  // namespace llm_proxy::test
