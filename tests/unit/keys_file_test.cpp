#include "http/keys/keys_file.hpp"

#include "config/settings.hpp"
#include "support/catch.hpp"

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <string>
#include <unistd.h>

namespace llm_proxy {

namespace {

// SHA-256 of "abc" (FIPS 180-2, appendix B.1), and of the empty text.
const std::string abc_hex = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
const std::string empty_hex = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

std::string entry(const std::string& more, const std::string& hex = abc_hex, const std::string& name = "a") {
  return R"({"name":")" + name + R"(","sha256":")" + hex + '"' + (more.empty() ? "" : "," + more) + "}";
}
std::string file(const std::string& entries) {
  return R"({"keys":[)" + entries + "]}";
}
/// Returns the only fault of a file.
std::string fault(const std::string& json) {
  const auto read = parse_keys(json);
  CHECK(read.entries.empty());
  INFO(json);
  REQUIRE(read.faults.size() == 1);
  return read.faults.front();
}

}  // namespace

TEST_CASE("keys file: an entry with all members is read, and one without limits has none", "[unit][keys]") {
  const auto read = parse_keys(file(
      entry(R"("expires":"2026-11-25T03:50:00Z","max_concurrent":3,"rpm":60,"tpm":1000000000000,)"
            R"("models":["gpt-4o","claude-*","gr\u00f6\u00dfe","*"],"routes":["files","chat","files"])") +
      "," + entry("", empty_hex, "b.c@d/e:f_g-1")));
  CHECK(read.faults.empty());
  REQUIRE(read.entries.size() == 2);
  const auto& full = read.entries[0];
  CHECK(full.digest == digest_of("abc"));
  CHECK(full.expires == 1'795'578'600);
  CHECK(full.rules->name == "a");
  CHECK(full.rules->max_concurrent == 3);
  CHECK(full.rules->rpm == 60);
  CHECK(full.rules->tpm == 1'000'000'000'000);
  CHECK(full.rules->models == std::vector<std::string>{"gpt-4o", "claude-*", "größe", "*"});
  CHECK(names_of(full.rules->routes) == "chat,files");
  CHECK(full.rules->limited());
  const auto& bare = read.entries[1];
  CHECK(bare.digest == digest_of(""));
  CHECK_FALSE(bare.expires);
  CHECK(bare.rules->name == "b.c@d/e:f_g-1");
  CHECK(bare.rules->models.empty());
  CHECK(names_of(bare.rules->routes) ==
        "chat,completions,responses,messages,embeddings,moderations,rerank,images,audio,search,ocr");
  CHECK_FALSE(bare.rules->limited());
}

TEST_CASE("keys file: an empty list, blanks and a byte order mark are fine", "[unit][keys]") {
  CHECK(parse_keys(R"({"keys":[]})").faults.empty());
  CHECK(parse_keys("\xef\xbb\xbf \n{ \"keys\" : [ ] }\r\n").faults.empty());
  std::string upper = abc_hex;
  for (auto& c : upper) c = static_cast<char>(std::toupper(c));
  CHECK(parse_keys(file(entry("", upper))).entries.at(0).digest == digest_of("abc"));
}

TEST_CASE("keys file: every fault is named with its place", "[unit][keys]") {
  const auto read = parse_keys(
      file(R"({"name":"","sha256":"12","expires":"soon","max_concurrent":0,"rpm":-1,"tpm":1.5,"models":[]},)"
           R"(7,{"rpm":1,"rpm":2},)" +
           entry(R"("max_concurent":1)")));
  CHECK(read.entries.empty());
  for (const char* place :
       {"keys[0].name: ", "keys[0].sha256: ", "keys[0].expires: ", "keys[0].max_concurrent: ",
        "keys[0].rpm: ", "keys[0].tpm: ", "keys[0].models: ", "keys[1]: ", "keys[2].rpm: is given twice",
        "keys[2].name: is missing", "keys[2].sha256: is missing", "keys[3]: has an unknown member"}) {
    INFO(place);
    CHECK(std::count_if(read.faults.begin(), read.faults.end(),
                        [&](const auto& each) { return each.starts_with(place); }) == 1);
  }
  CHECK(read.faults.size() == 12);
}

TEST_CASE("keys file: values of a wrong kind are refused", "[unit][keys]") {
  for (const char* bad : {R"("expires":1795578600)",
                          R"("expires":null)",
                          R"("expires":"")",
                          R"("rpm":"60")",
                          R"("rpm":1e3)",
                          R"("rpm":0)",
                          R"("rpm":1000000000001)",
                          R"("rpm":99999999999999999999)",
                          R"("rpm":null)",
                          R"("tpm":true)",
                          R"("max_concurrent":[1])",
                          R"("models":"gpt-4o")",
                          R"("models":[""])",
                          R"("models":[1])",
                          R"("models":["a*b"])",
                          R"("models":["**"])",
                          R"("models":{})",
                          R"("models":null)",
                          R"("routes":[])",
                          R"("routes":["chat","file"])",
                          R"("routes":[""])",
                          R"("routes":"chat")",
                          R"("routes":[1])",
                          R"("routes":null)",
                          R"("routes":["Chat"])"}) {
    const std::string member = bad;
    CHECK(fault(file(entry(member)))
              .starts_with("keys[0]." + member.substr(1, member.find('"', 1) - 1) + ": "));
  }
  for (const char* name : {"a b", "a\\n", "\\\"", "ä", "a\\u0000"})
    CHECK(fault(file(entry("", abc_hex, name))).starts_with("keys[0].name: "));
  CHECK(fault(file(entry("", abc_hex, std::string(101, 'a')))).starts_with("keys[0].name: "));
  for (const auto& hex : {abc_hex.substr(1), abc_hex + "0", "g" + abc_hex.substr(1), std::string{}})
    CHECK(fault(file(entry("", hex))).starts_with("keys[0].sha256: "));
}

TEST_CASE("keys file: a fault of routes says which groups there are, and that an empty list allows nothing",
          "[unit][keys]") {
  const auto unknown = fault(file(entry(R"("routes":["file"])")));
  for (unsigned group = 1; group <= static_cast<unsigned>(route_group::evals); ++group) {
    const auto name = name_of(static_cast<route_group>(group));
    CHECK_FALSE(name.empty());
    CHECK(group_named(name) == static_cast<route_group>(group));
    CHECK(unknown.find(name) != std::string::npos);
  }
  CHECK(fault(file(entry(R"("routes":[])"))).find("would allow nothing") != std::string::npos);
}

TEST_CASE("keys file: a text that is not a keys file has one fault", "[unit][keys]") {
  for (const char* bad : {"", "{", "[]", "null", R"({"keys":[]} x)", R"({"keys":[],})", "\xff"}) fault(bad);
  CHECK(fault("{}").find("{\"keys\":[") != std::string::npos);
  CHECK(fault(R"({"keys":{}})").starts_with("keys: "));
  CHECK(fault(R"({"keys":[],"keys":[]})").starts_with("keys: is given twice"));
  fault(R"({"keys":[],"key":[]})");
}

TEST_CASE("keys file: entries of one name rotate a key and share limits, one digest is one key",
          "[unit][keys]") {
  const auto read = parse_keys(file(entry(R"("rpm":5)") + "," + entry(R"("rpm":5)", empty_hex)));
  CHECK(read.faults.empty());
  const auto table = make_key_table(read.entries);
  CHECK(table->find("abc")->rules == table->find("")->rules);
  CHECK(fault(file(entry(R"("rpm":5)") + "," + entry(R"("rpm":6)", empty_hex))).starts_with("keys[1]: "));
  CHECK(fault(file(entry("") + "," + entry(R"("models":["x"])", empty_hex))).starts_with("keys[1]: "));
  CHECK(fault(file(entry("") + "," + entry(R"("routes":["chat"])", empty_hex))).starts_with("keys[1]: "));
  CHECK(fault(file(entry("") + "," + entry("", abc_hex, "b"))).starts_with("keys[1].sha256: "));
}

TEST_CASE("keys file: a key that stands where a digest belongs is not shown in any fault", "[unit][keys]") {
  for (const auto& json :
       {file(entry("", "sk-SECRET")), file(entry(R"("sk-SECRET":1)")), file(R"("sk-SECRET")"),
        file(R"({"name":"sk-SECRET !","sha256":1})"), std::string{R"({"sk-SECRET":[]})"}}) {
    const auto read = parse_keys(json);
    CHECK_FALSE(read.faults.empty());
    for (const auto& each : read.faults) CHECK(each.find("SECRET") == std::string::npos);
  }
}

TEST_CASE("keys file: a file that cannot be read says why", "[unit][keys]") {
  const auto missing = read_keys_file("/nonexistent/keys.json");
  REQUIRE(missing.faults.size() == 1);
  CHECK(missing.faults[0].find("No such file") != std::string::npos);
  const auto directory = read_keys_file("/tmp");
  REQUIRE(directory.faults.size() == 1);
  CHECK(directory.faults[0].find("directory") != std::string::npos);
  const std::string path = "/tmp/llm-proxy-keys-file-test-" + std::to_string(getpid());
  std::ofstream{path} << file(entry(""));
  CHECK(read_keys_file(path).entries.size() == 1);
  std::remove(path.c_str());
}

TEST_CASE("keys file: the default key, which everybody knows, is refused", "[unit][keys]") {
  CHECK(default_key == settings{}.internal_api_key);
  std::string hex;
  for (const auto byte : digest_of(default_key)) {
    hex += "0123456789abcdef"[byte >> 4];
    hex += "0123456789abcdef"[byte & 15];
  }
  const auto read = parse_keys(file(entry("", hex)));
  REQUIRE(read.faults.size() == 1);
  CHECK(read.faults[0] == "keys[0].sha256: is that of the default key, which everybody knows");
}

TEST_CASE("key table: a newer table takes over the last uses, the internal key's too", "[unit][keys]") {
  const auto first = make_key_table(parse_keys(file(entry(""))).entries);
  first->find("abc")->rules->last_use->store(7);
  first->internal->last_use->store(8);
  const auto second =
      make_key_table(parse_keys(file(entry("", empty_hex) + "," + entry("", abc_hex, "new"))).entries, first);
  CHECK(second->find("")->rules->last_use->load() == 7);
  CHECK(second->find("abc")->rules->last_use->load() == 0);
  CHECK(second->internal->last_use->load() == 8);
  CHECK(second->find("abcd") == nullptr);
}

TEST_CASE("key table: an entry named default gives the internal key its limits", "[unit][keys]") {
  const auto table = make_key_table(parse_keys(file(entry(R"("rpm":5)", abc_hex, "default"))).entries);
  CHECK(table->internal == table->find("abc")->rules);
  CHECK(table->internal->rpm == 5);
}

}  // namespace llm_proxy
