#include "http/route.hpp"

#include <array>
#include <optional>

namespace llm_proxy {

namespace {

struct route {
  std::string_view method;  // GET stands for HEAD too
  std::string_view path;    // ending in '/': the rest of the path is the parameter
  endpoint target;
};

constexpr std::array routes{
    route{"GET", "/health", endpoint::health},
    route{"GET", "/v1/models", endpoint::models},
    route{"GET", "/v1/models/", endpoint::model},
    route{"GET", "/v1/llm/models", endpoint::llm_models},
    route{"POST", "/v1/chat/completions", endpoint::chat_completions},
};

std::optional<int> hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return std::nullopt;
}

/// RFC 3986 §2.1; what is no escape stays as it is.
std::string percent_decoded(std::string_view text) {
  std::string decoded;
  decoded.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%' && i + 2 < text.size()) {
      const auto high = hex_digit(text[i + 1]);
      const auto low = hex_digit(text[i + 2]);
      if (high && low) {
        decoded += static_cast<char>(*high * 16 + *low);
        i += 2;
        continue;
      }
    }
    decoded += text[i];
  }
  return decoded;
}

}  // namespace

route_match find_route(std::string_view method, std::string_view path) {
  for (const auto& row : routes) {
    const bool has_parameter = row.path.back() == '/';
    const bool matches = has_parameter
                             ? path.size() > row.path.size() && path.substr(0, row.path.size()) == row.path
                             : path == row.path;
    if (!matches) continue;
    const bool is_get = row.method == "GET";
    if (method != row.method && !(is_get && method == "HEAD")) {
      return {endpoint::wrong_method, is_get ? "GET, HEAD" : row.method, {}};
    }
    return {row.target, {}, has_parameter ? percent_decoded(path.substr(row.path.size())) : std::string{}};
  }
  return {};
}

bool is_public_path(std::string_view path) {
  return path == "/health";
}

}  // namespace llm_proxy
