#pragma once

#include <cstdlib>
#include <filesystem>
#include <stdexcept>
#include <string>

namespace llm_proxy::test {

/// A self-signed certificate for `localhost`, made by openssl in a directory of its own. `key_kind`: the
/// argument of `openssl req -newkey`.
class certificate {
 public:
  explicit certificate(const std::string& key_kind = "ec -pkeyopt ec_paramgen_curve:prime256v1") {
    std::string pattern = std::filesystem::temp_directory_path() / "llm-proxy-tls-XXXXXX";
    if (::mkdtemp(pattern.data()) == nullptr) throw std::runtime_error{"mkdtemp"};
    folder_ = pattern;
    const std::string command = "openssl req -x509 -newkey " + key_kind +
                                " -nodes -days 2 -subj /CN=localhost "
                                "-addext subjectAltName=DNS:localhost -keyout " +
                                key() + " -out " + file() + " 2>/dev/null";
    if (std::system(command.c_str()) != 0) throw std::runtime_error{"openssl req"};
  }
  ~certificate() { std::filesystem::remove_all(folder_); }
  certificate(const certificate&) = delete;
  certificate& operator=(const certificate&) = delete;
  std::string file() const { return folder_ / "cert.pem"; }
  std::string key() const { return folder_ / "key.pem"; }

 private:
  std::filesystem::path folder_;
};

}  // namespace llm_proxy::test
