// llm-proxy keys: adds keys to the file of INTERNAL_API_KEYS_FILE, lists them, and removes them.
#include "actors/cli/arguments.hpp"
#include "actors/cli/commands.hpp"
#include "config/log_safe.hpp"
#include "http/keys/keys_file.hpp"
#include "http/keys/keys_file_edit.hpp"
#include "http/system/regular_file.hpp"
#include "http/text/text.hpp"
#include "http/wire/rfc3339.hpp"

#include <openssl/rand.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <ctime>
#include <fcntl.h>
#include <filesystem>
#include <iomanip>
#include <ostream>
#include <sstream>
#include <stdexcept>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>

namespace llm_proxy {

namespace {

namespace fs = std::filesystem;

constexpr std::string_view after_change =
    "A running service takes the file on SIGHUP (kill -HUP, systemctl reload llm-proxy).\n";

constexpr option_name file_option{"--file"};
constexpr std::array known{
    file_option,          option_name{"--expires"}, option_name{"--max-concurrent"}, option_name{"--rpm"},
    option_name{"--tpm"}, option_name{"--models"},  option_name{"--routes"},         option_name{"--sha256"}};

[[noreturn]] void give_up(const std::string& what, int error = errno) {
  throw std::runtime_error{what + ": " + std::strerror(error)};
}

/// Returns the text of the file; empty if there is no such file.
std::string read_text(const std::string& path) {
  auto file = read_regular_file(path, largest_keys_file);
  if (!file.fault.empty() && !file.missing) throw std::runtime_error{path + " " + file.fault};
  return std::move(file.text);
}

/// Replaces the file atomically: a service that reads it meanwhile gets the old text or the new one.
void replace_text(const std::string& path, const std::string& text) {
  std::error_code none;
  const auto target = fs::exists(path, none) ? fs::canonical(path).string() : path;
  struct stat old {};
  const bool there = stat(target.c_str(), &old) == 0;
  auto scratch = target + ".XXXXXX";
  const int descriptor = mkstemp(scratch.data());  // mode 0600
  if (descriptor < 0) give_up(target + " cannot be written");
  const auto drop = [&](const std::string& what) {
    const int error = errno;
    close(descriptor);
    unlink(scratch.c_str());
    give_up(what, error);
  };
  if (there && fchmod(descriptor, old.st_mode & 07777) != 0) drop(target + ": its mode cannot be kept");
  if (there && (old.st_uid != geteuid() || old.st_gid != getegid()) &&
      fchown(descriptor, old.st_uid, old.st_gid) != 0)
    drop(target + ": its owner cannot be kept");
  for (std::size_t sent = 0; sent < text.size();) {
    const auto size = write(descriptor, text.data() + sent, text.size() - sent);
    if (size < 0) drop(target + " cannot be written");
    sent += static_cast<std::size_t>(size);
  }
  if (fsync(descriptor) != 0) drop(target + " cannot be written");
  if (rename(scratch.c_str(), target.c_str()) != 0) drop(target + " cannot be replaced");
  close(descriptor);
}

/// Returns a new key of 256 random bits.
std::string make_key() {
  key_digest bytes{};
  if (RAND_bytes(bytes.data(), static_cast<int>(bytes.size())) != 1)
    throw std::runtime_error{"no random numbers can be had"};
  return "llmp-" + hex_of(bytes);
}

std::optional<std::uint64_t> number(const parsed_arguments& given, std::string_view name) {
  const auto text = given.option(name);
  if (!text) return std::nullopt;
  const auto value = parse_number<std::uint64_t>(*text);
  if (value.value_or(0) == 0)
    throw std::invalid_argument{std::string{name} + " takes a whole number above 0"};
  return value;
}

std::vector<std::string> names_in(const std::string& list) {
  std::vector<std::string> names;
  std::stringstream text{list};
  for (std::string each; std::getline(text, each, ',');) names.push_back(each);
  return names;
}

/// Returns the names of a list; empty if the option was not given. An empty list would mean "no restriction",
/// which nobody means who gives the option.
std::vector<std::string> names(const parsed_arguments& given, std::string_view option) {
  const auto list = given.option(option);
  auto found = list ? names_in(*list) : std::vector<std::string>{};
  if (list && found.empty())
    throw std::invalid_argument{std::string{option} + " takes one or more names, separated by commas"};
  return found;
}

int report_faults(std::ostream& err, const std::string& path, const std::vector<std::string>& faults) {
  for (const auto& each : faults) err << "llm-proxy: error: " << log_safe(path) << ": " << each << '\n';
  return 1;
}

int add(const std::string& path, const parsed_arguments& given, std::ostream& out, std::ostream& err) {
  const auto key = make_key();
  new_key_entry entry;
  entry.name = given.words[1];
  entry.digest = digest_of(key);
  entry.expires = given.option("--expires");
  entry.max_concurrent = number(given, "--max-concurrent");
  entry.rpm = number(given, "--rpm");
  entry.tpm = number(given, "--tpm");
  entry.models = names(given, "--models");
  entry.routes = names(given, "--routes");
  const auto edited = add_key(read_text(path), entry);
  if (!edited.differing.empty()) {
    std::string flags;
    for (auto member : edited.differing) {
      std::replace(member.begin(), member.end(), '_', '-');
      flags += (flags.empty() ? "--" : ", --") + member;
    }
    return report_faults(
        err, path,
        {"all keys of " + log_safe(entry.name) + " share their limits, and it has others; leave out " +
         flags + " and the new key takes over what there is, or change the file"});
  }
  if (!edited.faults.empty()) return report_faults(err, path, edited.faults);
  replace_text(path, edited.json);
  out << key << '\n' << std::flush;
  err << "This key of " << entry.name << " is shown this once: the file holds its SHA-256.\n" << after_change;
  return 0;
}

int revoke(const std::string& path, const parsed_arguments& given, std::ostream& err) {
  const auto& name = given.words[1];
  const auto edited = remove_keys(read_text(path), name, given.option("--sha256").value_or(""));
  if (!edited.faults.empty()) return report_faults(err, path, edited.faults);
  if (edited.changed == 0) return report_faults(err, path, {"has no such key of " + log_safe(name)});
  replace_text(path, edited.json);
  err << edited.changed << (edited.changed == 1 ? " key" : " keys") << " of " << name << " revoked.\n"
      << after_change;
  return 0;
}

int list(const std::string& path, std::ostream& out, std::ostream& err) {
  const auto read = read_keys_file(path);
  if (!read.faults.empty()) return report_faults(err, path, read.faults);
  const auto line = [&out](std::string_view name, std::string_view sha256, std::string_view expires,
                           std::string_view concurrent, std::string_view rpm, std::string_view tpm,
                           std::string_view models, std::string_view routes) {
    out << std::left << std::setw(24) << name << ' ' << std::setw(12) << sha256 << "  " << std::setw(20)
        << expires << "  " << std::setw(10) << concurrent << ' ' << std::setw(8) << rpm << ' '
        << std::setw(10) << tpm << ' ' << std::setw(16) << models << ' ' << routes << '\n';
  };
  const auto limit = [](std::uint64_t value) { return value == 0 ? "-" : std::to_string(value); };
  line("NAME", "SHA256", "EXPIRES", "CONCURRENT", "RPM", "TPM", "MODELS", "ROUTES");
  for (const auto& each : read.entries) {
    std::string models;
    for (const auto& name : each.rules->models) models += (models.empty() ? "" : ",") + log_safe(name);
    auto expires = each.expires ? format_rfc3339(*each.expires) : "never";
    if (each.expires && *each.expires <= std::time(nullptr)) expires += " (expired)";
    line(each.rules->name, hex_of(each.digest).substr(0, 12), expires, limit(each.rules->max_concurrent),
         limit(each.rules->rpm), limit(each.rules->tpm), models.empty() ? "all" : models,
         each.rules->routes == usual_groups() ? "usual" : names_of(each.rules->routes));
  }
  out << std::flush;
  return 0;
}

}  // namespace

int keys_command(std::span<const char* const> arguments, const parsed_settings& parsed, std::ostream& out,
                 std::ostream& err) {
  const auto given = parse_arguments(arguments, known);
  if (!given.fault.empty()) return report_wrong_use(err, given.fault);
  const auto path = given.option(file_option.name).value_or(parsed.values.internal_api_keys_file);
  const auto what = given.words.empty() ? std::string{} : given.words.front();
  const bool named = given.words.size() == 2;
  if (!((what == "add" && named) || (what == "revoke" && named) ||
        (what == "list" && given.words.size() == 1)))
    return report_wrong_use(err, "keys takes add NAME, list or revoke NAME");
  if (path.empty())
    return report_wrong_use(err, "no file of keys: set LLM_PROXY__INTERNAL_API_KEYS_FILE or add --file");
  for (const auto& [name, value] : given.options) {
    const bool fits =
        name == "--file" || (what == "add" && name != "--sha256") || (what == "revoke" && name == "--sha256");
    if (!fits) return report_wrong_use(err, name + " is nothing for keys " + what);
  }
  try {
    if (what == "add") return add(path, given, out, err);
    if (what == "revoke") return revoke(path, given, err);
    return list(path, out, err);
  } catch (const std::invalid_argument& wrong) {
    return report_wrong_use(err, wrong.what());
  } catch (const std::exception& error) {
    err << "llm-proxy: error: " << error.what() << '\n';
    return 1;
  }
}

}  // namespace llm_proxy
