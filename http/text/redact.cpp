#include "http/text/redact.hpp"

#include <cstddef>

namespace llm_proxy {

void redact(std::string& text, std::string_view secret) {
  constexpr std::string_view stars = "***";
  if (secret.empty()) return;
  for (auto at = text.find(secret); at != std::string::npos; at = text.find(secret, at + stars.size()))
    text.replace(at, secret.size(), stars);
}

}  // namespace llm_proxy
