#include "load_options.hpp"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <string_view>

namespace bench {

std::optional<options> read_options(int argc, char** argv) {
  if (argc < 2) return std::nullopt;
  options o;
  o.name = argv[1];
  if (o.name == "streams") {
    o.kind = scenario::streams;
  } else if (o.name == "hold") {
    o.kind = scenario::hold;
    o.delay_ms = 1000;
    o.events = 1'000'000;
    o.settle = 10;
  } else if (o.name != "requests") {
    return std::nullopt;
  }
  for (int i = 2; i < argc; ++i) {
    const std::string_view name = argv[i];
    if (name == "--once") {
      o.once = true;
      continue;
    }
    if (++i == argc) return std::nullopt;
    const std::string value = argv[i];
    const uint64_t number = std::strtoull(value.c_str(), nullptr, 10);
    const double real = std::strtod(value.c_str(), nullptr);
    if (name == "--to") {
      const size_t colon = value.rfind(':');
      if (colon == std::string::npos) return std::nullopt;
      o.host = value.substr(0, colon);
      o.port = static_cast<uint16_t>(std::strtoul(value.c_str() + colon + 1, nullptr, 10));
    } else if (name == "--connections") {
      o.connections = number;
    } else if (name == "--events") {
      o.events = std::max<uint64_t>(number, 1);
    } else if (name == "--delay-ms") {
      o.delay_ms = number;
    } else if (name == "--batch") {
      o.batch = number;
    } else if (name == "--duration") {
      o.duration = real;
    } else if (name == "--warmup") {
      o.warmup = real;
    } else if (name == "--settle") {
      o.settle = real;
    } else if (name == "--timeout") {
      o.timeout = real;
    } else if (name == "--body-bytes") {
      o.body_bytes = number;
    } else if (name == "--event-bytes") {
      o.event_bytes = number;
    } else if (name == "--answer-bytes") {
      o.answer_bytes = number;
    } else if (name == "--key") {
      o.key = value;
    } else if (name == "--path") {
      o.path = value;
    } else if (name == "--fault") {
      o.fault = value;
    } else if (name == "--pid") {
      o.pids.push_back(static_cast<pid_t>(number));
    } else if (name == "--ref-pid") {
      o.reference_pids.push_back(static_cast<pid_t>(number));
    } else if (name == "--tag") {
      const size_t equals = value.find('=');
      if (equals == std::string::npos) return std::nullopt;
      o.tags.emplace_back(value.substr(0, equals), value.substr(equals + 1));
    } else {
      return std::nullopt;
    }
  }
  if (o.port == 0 || o.connections == 0 || o.event_bytes > max_event_bytes ||
      o.answer_bytes > max_answer_bytes)
    return std::nullopt;
  return o;
}

void print_usage() {
  std::fprintf(
      stderr,
      "usage: bench_load requests|streams|hold --to HOST:PORT [options]\n"
      "  --connections C (64)  --duration S (4)  --warmup S (1)  --once          each connection asks once\n"
      "  --events N (100)      --delay-ms D (0; hold: 1000)  --event-bytes B (200)  --answer-bytes B (400)\n"
      "                        (hold: without N, or above 60 s, the clients leave at the end of the run)\n"
      "  --body-bytes B        size of the prompt  --batch K   unpaced: events per send of the upstream\n"
      "  --pid P --ref-pid P   (each repeatable) the service's processes; upstream's, for the CPU ratio\n"
      "  --settle S (hold: 10) wait at most so long until RSS and fds are level again\n"
      "  --timeout S (10)      --key K (bench-key)  --path P (/v1/chat/completions)\n"
      "  --fault NAME          asks bench_upstream to break its answers  --tag NAME=VALUE  copied to the "
      "output\n");
}

}  // namespace bench
