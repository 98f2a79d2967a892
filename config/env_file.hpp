// Reads `.env` files by the rules of python-dotenv, which the service's users know, but without the expansion
// of ${…}.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace llm_proxy {

struct environment {
  std::map<std::string, std::string> values;
  std::vector<std::string> faults;      // each names a line, never a value
  std::string file;                     // the file that was found; empty if none was
  std::vector<std::string> file_names;  // the names that the file assigns
  std::string unreadable;               // why the file cannot be read, with its name; empty if it can
};

/// Parses lines of KEY=VALUE or `export KEY=VALUE`, # comments, and values in 'single' or "double" quotes,
/// which may span several lines. Lines end with LF, CRLF or CR; a BOM is allowed. If a key is assigned twice,
/// the last value counts.
environment parse_env_text(std::string_view text);

/// The files that may contain options, in the order of preference. Only the first that exists is read.
struct env_files {
  std::vector<std::string> candidates{".env"};
  bool required = false;  ///< a missing file is an error, like an unreadable one
};

/// Returns only `given`, the file of --env-file, if that is set (/dev/null stands for no file). Otherwise
/// returns .env in the working directory and, if a package installed the program as `program_path`, the
/// package's file.
env_files env_files_for(const std::optional<std::string>& given, std::string_view program_path);

/// Returns the process environment (a null-terminated list of KEY=VALUE), which wins over the first existing
/// file of `files`.
environment load_environment(const char* const* process_environment, const env_files& files = {});

}  // namespace llm_proxy
