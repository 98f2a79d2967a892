// Reads `.env` files by the rules of python-dotenv, which the service's users know, but without ${…}
// expansion.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace llm_proxy {

struct environment {
  std::map<std::string, std::string> values;
  std::vector<std::string> faults;      // name a line, never a value
  std::string file;                     // the file that was found; empty if there is none
  std::vector<std::string> file_names;  // what that file assigns
  std::string unreadable;               // why it cannot be read, a sentence that names it; empty: it can
};

/// KEY=VALUE lines, `export KEY=VALUE`, # comments, 'single' and "double" quotes (also over several lines);
/// LF, CRLF or CR, with or without a BOM. Of a key's values the last one counts.
environment parse_env_text(std::string_view text);

/// The files that may have options, in the order in which they are looked for: the first that exists is the
/// only one that is read.
struct env_files {
  std::vector<std::string> candidates{".env"};
  bool required = false;  ///< a candidate that does not exist is as bad as one that cannot be read
};

/// Only `given` (what --env-file names; /dev/null: no file at all), or else .env in the working directory,
/// then, for a program that a package installed as `program_path`, the package's file.
env_files env_files_for(const std::optional<std::string>& given, std::string_view program_path);

/// The process environment (a null-terminated list of KEY=VALUE) over the first of `files`.
environment load_environment(const char* const* process_environment, const env_files& files = {});

}  // namespace llm_proxy
