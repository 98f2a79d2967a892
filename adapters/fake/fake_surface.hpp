// Mock mode's answers to every endpoint, each in the endpoint's own shape.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace llm_proxy {

struct fake_piece {
  bool paced = false;  // it is a word, which is sent after a pause
  std::string bytes;
};

struct fake_answer {
  unsigned status = 200;
  std::string content_type = "application/json";
  std::vector<fake_piece> pieces;
};

/// Returns the answer to a request. `path` has no query. `body` is empty if the endpoint takes none, or one
/// that is passed on as it is. `unique` makes the ids, `created` is in seconds since 1970.
fake_answer answer_as_mock(std::string_view method, std::string_view path, std::string_view body,
                           std::string_view unique, std::int64_t created);

}  // namespace llm_proxy
