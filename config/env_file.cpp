#include "config/env_file.hpp"

#include "http/system/regular_file.hpp"

#include <algorithm>
#include <optional>
#include <utility>

namespace llm_proxy {
namespace {

constexpr std::size_t max_file_bytes = std::size_t{1} << 20;
constexpr auto npos = std::string_view::npos;
constexpr std::string_view line_ends = "\r\n";

bool is_blank(char c) {
  return c == ' ' || c == '\t' || c == '\f' || c == '\v';
}

/// A position in the text, with its line number.
class cursor {
 public:
  explicit cursor(std::string_view text) : text_{text} {}

  bool at_end() const { return at_ == text_.size(); }
  bool at_line_end() const { return at_end() || line_ends.find(text_[at_]) != npos; }
  char peek() const { return at_end() ? '\0' : text_[at_]; }
  std::size_t line() const { return line_; }

  char next() {
    const char c = text_[at_++];
    // A CRLF is counted at its LF.
    if (c == '\n' || (c == '\r' && peek() != '\n')) ++line_;
    return c;
  }

  void skip_blanks() {
    while (!at_end() && is_blank(peek())) next();
  }

  std::string_view rest_of_line() {
    const std::size_t begin = at_;
    while (!at_line_end()) next();
    return text_.substr(begin, at_ - begin);
  }

  void skip_line() {
    rest_of_line();
    if (!at_end() && next() == '\r' && peek() == '\n') next();
  }

  bool skip_word(std::string_view word) {
    if (!text_.substr(at_).starts_with(word)) return false;
    at_ += word.size();
    return true;
  }

 private:
  std::string_view text_;
  std::size_t at_ = 0;
  std::size_t line_ = 1;
};

/// Returns the character that a backslash and `c` stand for; nullopt if both stay as they are.
std::optional<char> unescaped(char c, char quote) {
  if (c == '\\' || c == '\'') return c;
  if (quote == '\'') return {};
  constexpr std::string_view names = "\"abfnrtv", bytes = "\"\a\b\f\n\r\t\v";
  const auto found = names.find(c);
  if (found == npos) return {};
  return bytes[found];
}

/// Returns the value, if the cursor is on the opening quote; nullopt if there is no closing one.
std::optional<std::string> quoted_value(cursor& in) {
  std::string value;
  const char quote = in.next();
  while (!in.at_end()) {
    const char c = in.next();
    if (c == quote) return value;
    const auto meaning = c == '\\' && !in.at_end() ? unescaped(in.peek(), quote) : std::nullopt;
    if (meaning) in.next();
    value += meaning.value_or(c);
  }
  return {};
}

/// Returns the value up to a `#` that follows a blank, without the blanks at both ends.
std::string bare_value(std::string_view rest) {
  for (std::size_t i = 1; i < rest.size(); ++i)
    if (rest[i] == '#' && is_blank(rest[i - 1])) rest = rest.substr(0, i);
  while (!rest.empty() && is_blank(rest.front())) rest.remove_prefix(1);
  while (!rest.empty() && is_blank(rest.back())) rest.remove_suffix(1);
  return std::string{rest};
}

std::string key_name(cursor& in) {
  if (in.skip_word("export")) {
    if (is_blank(in.peek()))
      in.skip_blanks();
    else
      return "export" + key_name(in);
  }
  std::string key;
  while (!in.at_line_end() && !is_blank(in.peek()) && in.peek() != '=' && in.peek() != '#') key += in.next();
  return key;
}

/// Reads one line that contains a setting. Returns what is wrong with it; nullopt if nothing is.
std::optional<std::string> read_setting(cursor& in, std::map<std::string, std::string>& values) {
  const std::string key = key_name(in);
  in.skip_blanks();
  if (key.empty()) return "no name before the =";
  if (in.at_line_end() || in.peek() != '=') return "no = after the name";
  in.next();

  // A value begins after the blanks. If a # follows them, the value is empty and a comment begins.
  cursor value_begin = in;
  value_begin.skip_blanks();
  std::optional<std::string> value;
  const char quote = value_begin.peek();
  if (quote == '\'' || quote == '"') {
    in = value_begin;
    value = quoted_value(in);
    if (!value) {
      in = value_begin;
      return std::string{"a "} + quote + " is never closed";
    }
    in.skip_blanks();
    if (!in.at_line_end() && in.peek() != '#') return "text after the closing quote";
  } else {
    value = bare_value(in.rest_of_line());
  }
  if (quote != '\'' && value->find("${") != npos)
    return "${…} is not expanded here; single quotes around the value take it as it is";
  values[key] = std::move(*value);
  return {};
}

}  // namespace

environment parse_env_text(std::string_view text) {
  environment out;
  if (text.starts_with("\xef\xbb\xbf")) text.remove_prefix(3);
  cursor in{text};
  while (!in.at_end()) {
    in.skip_blanks();
    const std::size_t line = in.line();
    if (!in.at_line_end() && in.peek() != '#') {
      if (const auto wrong = read_setting(in, out.values))
        out.faults.push_back("line " + std::to_string(line) + ": " + *wrong);
    }
    in.skip_line();
  }
  return out;
}

env_files env_files_for(const std::optional<std::string>& given, std::string_view program_path) {
  if (given) return {{*given}, *given != "/dev/null"};
  env_files files;
  if (program_path == "/usr/bin/llm-proxy") files.candidates.emplace_back("/etc/llm-proxy/llm-proxy.env");
  return files;
}

environment load_environment(const char* const* process_environment, const env_files& files) {
  environment out;
  for (const auto& path : files.candidates) {
    const auto file = read_regular_file(path, max_file_bytes);
    if (file.missing && !files.required) continue;
    if (!file.fault.empty()) {
      out.unreadable = path + " " + file.fault;
    } else {
      out = parse_env_text(file.text);
      for (std::string& fault : out.faults) fault.insert(0, path + " ");
      for (const auto& [name, value] : out.values) out.file_names.push_back(name);
    }
    out.file = path;
    break;
  }
  for (; process_environment != nullptr && *process_environment != nullptr; ++process_environment) {
    const std::string_view entry = *process_environment;
    const auto equals = entry.find('=');
    if (equals != npos) out.values[std::string{entry.substr(0, equals)}] = entry.substr(equals + 1);
  }
  return out;
}

}  // namespace llm_proxy
