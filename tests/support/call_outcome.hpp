// What became of an upstream_call.
#pragma once

#include "http/upstream/upstream_call.hpp"

#include <cstddef>
#include <optional>
#include <string>
#include <utility>

namespace llm_proxy::test {

class call_outcome final : public call_events {
 public:
  std::optional<response_head> head;
  std::string body;
  std::optional<failure> fault;
  bool whole = false;

  bool ended() const { return whole || fault; }

 private:
  void on_input(call_input&& input) override {
    if (input.head) head = std::move(input.head);
    body += input.bytes;
    whole = input.whole;
  }
  void on_part_sent(std::size_t) override {}
  void on_failed(failure reason) override { fault = std::move(reason); }
};

}  // namespace llm_proxy::test
