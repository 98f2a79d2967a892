#include "config/env_file.hpp"

#include "support/catch.hpp"

#include <filesystem>
#include <fstream>
#include <unistd.h>

using namespace llm_proxy;
using variables = std::map<std::string, std::string>;

namespace {

variables parse(std::string_view text) {
  const auto out = parse_env_text(text);
  for (const auto& fault : out.faults) UNSCOPED_INFO(fault);
  CHECK(out.faults.empty());
  return out.values;
}

std::string value_of(std::string_view line) {
  auto values = parse(line);
  CHECK(values.size() == 1);
  return values["A"];
}

std::string fault_of(std::string_view text) {
  const auto out = parse_env_text(text);
  REQUIRE(out.faults.size() == 1);
  return out.faults[0];
}

/// A directory that is removed at the end of its test.
struct scratch_directory {
  scratch_directory() {
    std::string name = "/tmp/llm-proxy-env-XXXXXX";
    REQUIRE(mkdtemp(name.data()) != nullptr);
    path = name;
  }
  ~scratch_directory() { std::filesystem::remove_all(path); }
  scratch_directory(const scratch_directory&) = delete;
  scratch_directory& operator=(const scratch_directory&) = delete;

  std::filesystem::path path;
};

}  // namespace

TEST_CASE("env file: plain lines, comments and blank lines", "[unit][env_file]") {
  CHECK(parse("").empty());
  CHECK(parse("# only\n\n   # comments\n").empty());
  CHECK(parse("A=1\n#B=2\n\nC=3") == variables{{"A", "1"}, {"C", "3"}});
  CHECK(parse("A=1\nA=2\n") == variables{{"A", "2"}});
}

TEST_CASE("env file: blanks around names and values are ignored", "[unit][env_file]") {
  CHECK(value_of("  A = b c  \n") == "b c");
  CHECK(value_of("A=") == "");
  CHECK(value_of("A=   \n") == "");
  CHECK(value_of("A=b=c=d") == "b=c=d");
}

TEST_CASE("env file: export before a name is dropped", "[unit][env_file]") {
  CHECK(value_of("export A=1") == "1");
  CHECK(value_of("\texport\t A=1") == "1");
  CHECK(parse("exported=1") == variables{{"exported", "1"}});
}

TEST_CASE("env file: a # after a blank begins a comment, another does not", "[unit][env_file]") {
  CHECK(value_of("A=b # c") == "b");
  CHECK(value_of("A=b\t#c # d") == "b");
  CHECK(value_of("A=b#c") == "b#c");
  CHECK(value_of("A=#c") == "#c");
  CHECK(value_of("A= # c") == "");
  CHECK(value_of("A='b' # c") == "b");
  CHECK(value_of("A=\"b # c\"#d") == "b # c");
}

TEST_CASE("env file: single quotes keep all but their own two escapes", "[unit][env_file]") {
  CHECK(value_of(R"(A='b c')") == "b c");
  CHECK(value_of(R"(A='it\'s')") == "it's");
  CHECK(value_of(R"(A='a\\b\n"${X}"')") == R"(a\b\n"${X}")");
  CHECK(value_of("A=''") == "");
  CHECK(value_of("A=b'c'") == "b'c'");
}

TEST_CASE("env file: C's escapes are read within double quotes", "[unit][env_file]") {
  CHECK(value_of(R"(A="a\nb\tc\"d\\e\'f")") == "a\nb\tc\"d\\e'f");
  CHECK(value_of(R"(A="\a\b\f\r\v")") == "\a\b\f\r\v");
  CHECK(value_of(R"(A="\q\$")") == R"(\q\$)");
  CHECK(value_of(R"(A=a\nb)") == R"(a\nb)");
}

TEST_CASE("env file: a quoted value may span lines", "[unit][env_file]") {
  CHECK(parse("A=\"b\nc\"\nD=1") == variables{{"A", "b\nc"}, {"D", "1"}});
  CHECK(fault_of("A='b\nc'\nD") == "line 3: no = after the name");
}

TEST_CASE("env file: CRLF, CR and a BOM are not part of names and values", "[unit][env_file]") {
  CHECK(parse("\xef\xbb\xbf"
              "A=1\r\nB='2'\r\n\r\nC=3\rD=4") == variables{{"A", "1"}, {"B", "2"}, {"C", "3"}, {"D", "4"}});
  CHECK(fault_of("A=1\r\nB=2\r\nbad\r\n").starts_with("line 3:"));
  CHECK(fault_of("A=1\rB=2\rbad\r").starts_with("line 3:"));
}

TEST_CASE("env file: a broken line is named without its value, and the others are read", "[unit][env_file]") {
  for (const std::string bad : {"sk-secret", "=sk-secret", "B='sk-secret", "B=\"sk-secret", "B='x' sk-secret",
                                "B=${sk-secret}", "B=\"x${sk-secret}\"", "B C=sk-secret"}) {
    const auto out = parse_env_text("A=1\n" + bad + "\nC=3\n");
    INFO(bad);
    REQUIRE(out.faults.size() == 1);
    CHECK(out.faults[0].starts_with("line 2: "));
    CHECK(out.faults[0].find("sk-secret") == std::string::npos);
    CHECK(out.values == variables{{"A", "1"}, {"C", "3"}});
  }
  CHECK(parse_env_text("x\ny\nz").faults.size() == 3);
}

TEST_CASE("env file: no text makes the parser fail or hang", "[unit][env_file]") {
  const std::string odd = "A='\"\\ #=\r\n\xef\xbb\xbf${export \t";
  for (std::size_t a = 0; a < odd.size(); ++a)
    for (std::size_t b = 0; b < odd.size(); ++b)
      for (std::size_t c = 0; c < odd.size(); ++c)
        parse_env_text(std::string{'A', '=', odd[a], odd[b], odd[c]});
  for (std::size_t cut = 0; cut <= odd.size(); ++cut) parse_env_text(odd.substr(cut));
  SUCCEED();
}

TEST_CASE("environment: the process wins over the file, even with an empty value", "[unit][env_file]") {
  const scratch_directory scratch;
  const auto path = (scratch.path / ".env").string();
  std::ofstream{path} << "A=file\nB=file\nC=file\n";
  const char* const process[] = {"B=process", "C=", "D=x=y", "no equals sign", nullptr};
  const auto out = load_environment(process, {{path}});
  CHECK(out.faults.empty());
  CHECK(out.values == variables{{"A", "file"}, {"B", "process"}, {"C", ""}, {"D", "x=y"}});
}

TEST_CASE("environment: the first file that exists is the only one that is read", "[unit][env_file]") {
  const scratch_directory scratch;
  const auto first = (scratch.path / "first").string(), second = (scratch.path / "second").string();
  const env_files both{{first, second}};
  CHECK(load_environment(nullptr, both).file.empty());
  std::ofstream{second} << "B=2\n";
  CHECK(load_environment(nullptr, both).values == variables{{"B", "2"}});
  CHECK(load_environment(nullptr, both).file == second);
  std::ofstream{first} << "A=1\n";
  const auto out = load_environment(nullptr, both);
  CHECK(out.values == variables{{"A", "1"}});
  CHECK(out.file == first);
  CHECK(out.file_names == std::vector<std::string>{"A"});
  // A file that cannot be read hides the others, too.
  std::filesystem::remove(first);
  std::filesystem::create_directory(first);
  CHECK(load_environment(nullptr, both).values.empty());
  CHECK(load_environment(nullptr, both).unreadable.starts_with(first));
}

TEST_CASE("environment: which files are looked for", "[unit][env_file]") {
  using names = std::vector<std::string>;
  CHECK(env_files_for({}, "/home/me/build/release/llm-proxy").candidates == names{".env"});
  CHECK(env_files_for({}, "").candidates == names{".env"});
  CHECK(env_files_for({}, "/usr/bin/llm-proxy").candidates == names{".env", "/etc/llm-proxy/llm-proxy.env"});
  CHECK(env_files_for("x.env", "/usr/bin/llm-proxy").candidates == names{"x.env"});
  // A file that was asked for has to exist. /dev/null asks for no file at all.
  const scratch_directory scratch;
  CHECK_FALSE(
      load_environment(nullptr, env_files_for((scratch.path / "none").string(), "")).unreadable.empty());
  const auto none = load_environment(nullptr, env_files_for("/dev/null", "/usr/bin/llm-proxy"));
  CHECK(none.unreadable.empty());
  CHECK(none.file.empty());
}

TEST_CASE("environment: a missing file is fine, an unreadable one is a fault", "[unit][env_file]") {
  const scratch_directory scratch;
  const char* const process[] = {"A=1", nullptr};
  const auto missing = load_environment(process, {{(scratch.path / "none").string()}});
  CHECK(missing.faults.empty());
  CHECK(missing.values == variables{{"A", "1"}});

  const auto directory = load_environment(process, {{scratch.path.string()}});
  CHECK(directory.faults.empty());
  CHECK(directory.unreadable.starts_with(scratch.path.string()));
  CHECK(directory.values == variables{{"A", "1"}});
}

TEST_CASE("environment: a fault of the file names file and line", "[unit][env_file]") {
  const scratch_directory scratch;
  const auto path = (scratch.path / ".env").string();
  std::ofstream{path} << "A=1\nbroken\n";
  const auto out = load_environment(nullptr, {{path}});
  REQUIRE(out.faults.size() == 1);
  CHECK(out.faults[0].starts_with(path + " line 2: "));
}

TEST_CASE("environment: a file that can't be a .env is refused", "[unit][env_file]") {
  CHECK_FALSE(load_environment(nullptr, {{"/dev/zero"}}).unreadable.empty());
  CHECK(load_environment(nullptr, {{"/dev/null"}}).unreadable.empty());
  const scratch_directory scratch;
  const auto path = (scratch.path / ".env").string();
  std::ofstream{path} << "#" << std::string(1 << 20, 'x');
  const auto out = load_environment(nullptr, {{path}});
  CHECK(out.unreadable == path + " is larger than 1 MiB");
}
