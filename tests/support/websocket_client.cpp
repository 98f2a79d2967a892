#include "support/websocket_client.hpp"

#include <algorithm>

namespace llm_proxy::test {

std::string websocket_request(std::string_view target, const header_list& more) {
  header_list all{{"host", "127.0.0.1"},           {"upgrade", "websocket"},
                  {"connection", "Upgrade"},       {"sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="},
                  {"sec-websocket-version", "13"}, {"x-internal-auth", "test-key"}};
  for (const auto& [name, value] : more) {
    std::erase_if(all, [&name = name](const auto& each) { return iequals(each.first, name); });
    if (!value.empty()) all.emplace_back(name, value);
  }
  std::string text = "GET " + std::string{target} + " HTTP/1.1\r\n";
  for (const auto& [name, value] : all) text.append(name).append(": ").append(value).append("\r\n");
  return text + "\r\n";
}

websocket_client::websocket_client(std::uint16_t port, const header_list& more, std::string_view target)
    : socket_{port} {
  socket_.send(websocket_request(target, more));
  response_reader reader{socket_};
  if (!reader.read_head(milliseconds{5000})) return;
  while (reader.answer().status != 101 && reader.read_more(milliseconds{5000})) {
  }
  answer_ = reader.take();
}

bool websocket_client::send_frame(unsigned opcode, std::string_view payload, bool final, bool masked) {
  std::string frame;
  frame += static_cast<char>((final ? 0x80U : 0U) | opcode);
  const unsigned mask_bit = masked ? 0x80U : 0U;
  const auto size = payload.size();
  const auto add_bytes = [&](unsigned bytes) {
    for (unsigned at = bytes; at-- > 0;) frame += static_cast<char>((size >> (8 * at)) & 0xFFU);
  };
  if (size < 126) {
    frame += static_cast<char>(mask_bit | size);
  } else if (size < 65536) {
    frame += static_cast<char>(mask_bit | 126U);
    add_bytes(2);
  } else {
    frame += static_cast<char>(mask_bit | 127U);
    add_bytes(8);
  }
  constexpr std::string_view mask = "\x12\x34\x56\x78";
  if (masked) frame += mask;
  for (std::size_t i = 0; i < size; ++i)
    frame += masked ? static_cast<char>(payload[i] ^ mask[i % mask.size()]) : payload[i];
  return socket_.send(frame);
}

bool websocket_client::read_frame(unsigned& opcode, std::string& payload, bool& final, milliseconds timeout) {
  const auto deadline = test_clock::now() + timeout;
  const auto& bytes = socket_.buffer();
  const auto byte = [&](std::size_t at) { return static_cast<unsigned char>(bytes[at]); };
  for (;;) {
    std::size_t head = 2;
    if (bytes.size() >= head) {
      std::uint64_t size = byte(1) & 0x7FU;
      const std::size_t more = size == 126 ? 2 : size == 127 ? 8 : 0;
      head += more;
      if (bytes.size() >= head) {
        if (more > 0) size = 0;
        for (std::size_t i = 0; i < more; ++i) size = size << 8U | byte(2 + i);
        if (bytes.size() - head >= size) {
          opcode = byte(0) & 0x0FU;
          final = (byte(0) & 0x80U) != 0;
          payload = bytes.substr(head, size);
          socket_.buffer().erase(0, head + size);
          return true;
        }
      }
    }
    const auto end = socket_.fill(deadline);
    if (end == read_end::timeout) return false;
    if (end != read_end::done) {
      ended_ = true;
      return false;
    }
  }
}

std::optional<std::string> websocket_client::next(milliseconds timeout) {
  const auto deadline = test_clock::now() + timeout;
  std::string message;
  while (!close_code_) {
    unsigned opcode = 0;
    std::string payload;
    bool final = false;
    const auto left = std::chrono::duration_cast<milliseconds>(deadline - test_clock::now());
    if (!read_frame(opcode, payload, final, std::max(left, milliseconds{0}))) return std::nullopt;
    if (opcode == ping_frame) {
      ++pings_;
      send_frame(10, payload);
    } else if (opcode == close_frame) {
      close_code_ = payload.size() < 2 ? 1005U
                                       : static_cast<unsigned>(static_cast<unsigned char>(payload[0])) << 8U |
                                             static_cast<unsigned char>(payload[1]);
      if (payload.size() > 2) close_reason_ = payload.substr(2);
      send_frame(close_frame, payload);
    } else if (opcode <= binary_frame) {
      message += payload;
      if (final) return message;
    }
  }
  return std::nullopt;
}

std::vector<std::string> websocket_client::until(std::string_view text, milliseconds timeout) {
  std::vector<std::string> all;
  const auto deadline = test_clock::now() + timeout;
  while (all.empty() || all.back().find(text) == std::string::npos) {
    const auto left = std::chrono::duration_cast<milliseconds>(deadline - test_clock::now());
    auto message = left.count() > 0 ? next(left) : std::nullopt;
    if (!message) break;
    all.push_back(std::move(*message));
  }
  return all;
}

unsigned websocket_client::wait_for_close(milliseconds timeout) {
  const auto deadline = test_clock::now() + timeout;
  while (!close_code_ && !ended_ && test_clock::now() < deadline)
    next(std::chrono::duration_cast<milliseconds>(deadline - test_clock::now()));
  return close_code_.value_or(0);
}

bool websocket_client::close() {
  if (!send_frame(close_frame, "\x03\xE8")) return false;
  return wait_for_close() == 1000;
}

}  // namespace llm_proxy::test
