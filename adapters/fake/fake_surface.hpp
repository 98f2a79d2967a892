// Mock mode's answers to every endpoint, in the shape of each.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace llm_proxy {

struct fake_piece {
  bool paced = false;  // a word: it comes after a pause
  std::string bytes;
};

struct fake_answer {
  unsigned status = 200;
  std::string content_type = "application/json";
  std::vector<fake_piece> pieces;
};

/// `path` without query; `body` empty where the endpoint takes none, or takes it as it comes. `unique` makes
/// ids, `created` is in seconds since 1970.
fake_answer answer_as_mock(std::string_view method, std::string_view path, std::string_view body,
                           std::string_view unique, std::int64_t created);

}  // namespace llm_proxy
