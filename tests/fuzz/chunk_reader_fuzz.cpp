// Checks that a chunked body has the same payload, the same end and the same faults however it is split, and
// that a payload written as chunks is read back unchanged. The first byte of the input chooses the split.
#include "http/wire/chunk_reader.hpp"

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

namespace {

using namespace llm_proxy;

struct result {
  std::string payload;
  std::size_t used = 0;
  bool done = false;
  bool broken = false;
  bool operator==(const result&) const = default;
};

result read(std::string_view bytes, std::size_t piece) {
  result got;
  chunk_reader reader;
  std::string buffer;
  for (std::size_t at = 0; at < bytes.size() && !reader.done() && !reader.broken();) {
    const auto more = std::min(piece, bytes.size() - at);
    buffer.append(bytes.substr(at, more));
    at += more;
    const auto used = reader.read(buffer, got.payload);
    if (used > buffer.size()) std::abort();
    got.used += used;
    buffer.erase(0, used);
  }
  got.done = reader.done();
  got.broken = reader.broken();
  if (got.done && got.broken) std::abort();
  if (got.payload.size() > got.used) std::abort();
  if (got.broken) return {{}, 0, false, true};  // how much was read before depends on the split
  return got;
}

void check_round_trip(std::string_view payload, std::size_t piece) {
  std::string wire;
  for (std::size_t at = 0; at < payload.size(); at += piece) {
    const auto part = payload.substr(at, piece);
    char size[32];
    std::snprintf(size, sizeof(size), "%zx\r\n", part.size());
    wire += size;
    wire += part;
    wire += "\r\n";
  }
  wire += "0\r\n\r\n";
  const auto got = read(wire, piece);
  if (!got.done || got.payload != payload || got.used != wire.size()) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  const std::string_view bytes{reinterpret_cast<const char*>(data) + 1, size - 1};
  const std::size_t piece = data[0] % 32U + 1;
  if (read(bytes, bytes.size()) != read(bytes, piece)) std::abort();
  check_round_trip(bytes, piece);
  return 0;
}
