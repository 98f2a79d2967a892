#include "config/man_page.hpp"

#include "config/option_table.hpp"

#include <string_view>
#include <utility>

namespace llm_proxy {
namespace {

/// Returns text escaped for man(7): hyphens stay copyable, and no line is taken for a request of roff.
std::string roff(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '\\') {
      out += "\\e";
    } else if (c == '-') {
      out += "\\-";
    } else if ((c == '.' || c == '\'') && (out.empty() || out.back() == '\n')) {
      out += std::string{"\\&"} + c;
    } else {
      out += c;
    }
  }
  return out;
}

std::string item(std::string_view name, std::string_view text) {
  return ".TP\n.B " + roff(name) + "\n" + roff(text) + "\n";
}

}  // namespace

std::string man_page(const program_facts& facts, const settings& values) {
  std::string out = ".TH LLM\\-PROXY 1 \"\" \"llm\\-proxy " + roff(values.version) + "\" \"User Commands\"\n";
  out +=
      ".SH NAME\nllm\\-proxy \\- OpenAI\\-compatible API, guarded by an internal key, in front of a LiteLLM "
      "proxy\n"
      ".SH SYNOPSIS\n.B llm\\-proxy\n[\\fBserve\\fR | \\fICOMMAND\\fR \\fR...]\n"
      ".SH DESCRIPTION\n"
      "Without a command it serves until SIGTERM or SIGINT: then it ends what is in flight, and exits with "
      "0.\n"
      "On SIGHUP it reads keys, certificates and the options marked so below again.\n"
      ".SH COMMANDS\n";
  out += item("serve", "Serve; the same as no command.");
  out += item("check-config", "Say OK, or every fault of the configuration (exit code 2).");
  out += item("print-config", "Show the effective configuration, secrets masked.");
  for (const auto& row : facts.subcommands) {
    out += ".TP\n.B " + roff(row.name) + "\n\\fI" + roff(row.usage) + "\\fR\n.br\n";
    // A sentence may have several lines, which are indented for --help. Here the indentation is removed.
    std::string text;
    for (const char c : row.sentence) {
      if (c == ' ' && (text.empty() || text.back() == '\n' || text.back() == ' ')) continue;
      text += c;
    }
    out += roff(text) + "\n";
  }
  out += item("--help, --version", "Show all of this, or the version and what it was built from.");
  out +=
      ".SH ENVIRONMENT\nOptions are environment variables, or lines of a file .env in the working directory "
      "(the\n"
      "environment wins). An empty value counts as unset.\n";
  std::string_view group;
  for (const option& o : options()) {
    if (std::exchange(group, o.group) != o.group) out += ".SS " + roff(o.group) + "\n";
    const auto preset = show(o, settings{});
    std::string text{o.sentence};
    if (!preset.empty()) text += " Default: " + preset + ".";
    if (o.is_live()) text += " Read again on SIGHUP.";
    out += item(env_name(o), text + " Takes " + accepted(o) + ".");
  }
  out +=
      ".SH EXIT STATUS\n0: ended by a signal, or the command did its work; 1: could not listen, or the "
      "command\n"
      "could not; 2: wrong configuration, file or argument.\n"
      ".SH FILES\n.TP\n.I /etc/llm\\-proxy/llm\\-proxy.env\nThe options of the packaged service.\n"
      ".SH SEE ALSO\n/usr/share/doc/llm\\-proxy/README.md\n";
  return out;
}

}  // namespace llm_proxy
