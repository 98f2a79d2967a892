// A file of keys for a test, which is deleted with its object.
#pragma once

#include "http/keys/keys.hpp"

#include <atomic>
#include <cstdio>
#include <fstream>
#include <string>
#include <string_view>
#include <unistd.h>
#include <vector>

namespace llm_proxy::test {

inline std::string sha256_hex(std::string_view text) {
  std::string hex;
  for (const auto byte : digest_of(text)) {
    hex += "0123456789abcdef"[byte >> 4];
    hex += "0123456789abcdef"[byte & 15];
  }
  return hex;
}

struct test_key_entry {
  std::string name;
  std::string key;
  std::string more = {};  // further members as JSON
};

class keys_file {
 public:
  explicit keys_file(const std::vector<test_key_entry>& entries) {
    static std::atomic<int> count{0};
    path_ = "/tmp/llm-proxy-test-keys-" + std::to_string(getpid()) + "-" + std::to_string(count++);
    write(entries);
  }
  ~keys_file() { remove(); }
  keys_file(const keys_file&) = delete;
  keys_file& operator=(const keys_file&) = delete;

  void write(const std::vector<test_key_entry>& entries) {
    std::string text;
    for (const auto& each : entries) {
      text += text.empty() ? R"({"keys":[)" : ",";
      text += R"({"name":")" + each.name + R"(","sha256":")" + sha256_hex(each.key) + '"' +
              (each.more.empty() ? "" : "," + each.more) + "}";
    }
    write_raw(text + "]}");
  }
  void write_raw(std::string_view text) { std::ofstream{path_, std::ios::binary} << text; }
  void remove() { std::remove(path_.c_str()); }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

}  // namespace llm_proxy::test
