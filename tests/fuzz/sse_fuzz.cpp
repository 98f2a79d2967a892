// Checks that an event stream has the same events however it is split, and that data written as an event is
// read back unchanged. The first byte of the input chooses the split.
#include "http/dialect/sse.hpp"

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

namespace {

using namespace llm_proxy;

std::vector<sse_message> read(std::string_view bytes, std::size_t piece) {
  std::vector<sse_message> all;
  sse_decoder decoder;
  for (std::size_t at = 0; at < bytes.size(); at += piece) {
    for (auto& each : decoder.feed(bytes.substr(at, piece))) all.push_back(std::move(each));
  }
  return all;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  const std::string_view bytes{reinterpret_cast<const char*>(data) + 1, size - 1};
  const std::size_t piece = data[0] % 32U + 1;
  const auto whole = read(bytes, bytes.size());
  const auto split = read(bytes, piece);
  if (!std::equal(whole.begin(), whole.end(), split.begin(), split.end(), [](const auto& a, const auto& b) {
        return a.event == b.event && a.data == b.data && a.id == b.id;
      }))
    std::abort();
  // Only data without CR is compared, because a CR is a line end and is read back as a line feed.
  if (bytes.find('\r') == std::string_view::npos) {
    const auto again = read(sse_event(bytes), piece);
    if (again.size() != 1 || again.front().data != bytes) std::abort();
  }
  return 0;
}
