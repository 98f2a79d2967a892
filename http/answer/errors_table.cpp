#include "http/answer/errors_table.hpp"

#include "http/answer/litellm_error.hpp"
#include "http/wire/errc.hpp"

#include <algorithm>
#include <vector>

namespace llm_proxy {

std::string readme_errors_table() {
  std::vector<errc> codes;
  for (auto at = static_cast<unsigned>(errc::none) + 1; at <= static_cast<unsigned>(errc::internal); ++at)
    codes.push_back(static_cast<errc>(at));
  std::stable_sort(codes.begin(), codes.end(),
                   [](errc a, errc b) { return describe(a).status < describe(b).status; });
  std::string text = "| Status | Code | Source | Retry | What the client reads |\n|---|---|---|---|---|\n";
  for (const auto code : codes) {
    const auto& row = describe(code);
    const auto advice = advice_for(code);
    text += "| " + std::to_string(row.status) + " | `" + std::string{row.name} + "` | " +
            std::string{to_string(advice.source)} + " | " + (advice.retryable ? "yes" : "no") + " | " +
            std::string{row.message} + " |\n";
  }
  return text;
}

}  // namespace llm_proxy
