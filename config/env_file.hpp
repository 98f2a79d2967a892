// Reads `.env` files by the rules of python-dotenv, which the service's users know, but without ${…}
// expansion.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace llm_proxy {

struct environment {
  std::map<std::string, std::string> values;
  std::vector<std::string> faults;  // name a line, never a value
};

/// KEY=VALUE lines, `export KEY=VALUE`, # comments, 'single' and "double" quotes (also over several lines);
/// LF, CRLF or CR, with or without a BOM. Of a key's values the last one counts.
environment parse_env_text(std::string_view text);

/// The process environment (a null-terminated list of KEY=VALUE) over the file, which may be missing.
environment load_environment(const char* const* process_environment, const std::string& path = ".env");

}  // namespace llm_proxy
