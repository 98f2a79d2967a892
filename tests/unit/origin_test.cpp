#include "http/wire/origin.hpp"

#include "support/catch.hpp"

#include <string>
#include <string_view>

namespace llm_proxy {

TEST_CASE("origin: equal origins are read as the same text", "[unit][cors]") {
  struct row {
    std::string_view text, origin;
  };
  for (const auto& [text, origin] : {
           row{"https://app.example.com", "https://app.example.com"},
           row{"HTTPS://App.Example.COM", "https://app.example.com"},
           row{"https://app.example.com:443", "https://app.example.com"},
           row{"http://app.example.com:80", "http://app.example.com"},
           row{"http://app.example.com:080", "http://app.example.com"},
           row{"http://app.example.com:443", "http://app.example.com:443"},
           row{"https://app.example.com:80", "https://app.example.com:80"},
           row{"http://localhost:5173", "http://localhost:5173"},
           row{"http://localhost:65535", "http://localhost:65535"},
           row{"http://192.0.2.7:8080", "http://192.0.2.7:8080"},
           row{"http://[::1]", "http://[::1]"},
           row{"http://[0:0::0001]:80", "http://[::1]"},
           row{"https://[2001:DB8::A]:8443", "https://[2001:db8::a]:8443"},
           row{"http://xn--bcher-kva.example", "http://xn--bcher-kva.example"},
           row{"http://my_host", "http://my_host"},
           row{"https://app.example.com.", "https://app.example.com."},
           row{"tauri://localhost", "tauri://localhost"},
           row{"tauri://localhost:80", "tauri://localhost:80"},
           row{"chrome-extension://abcdefghijklmnop", "chrome-extension://abcdefghijklmnop"},
       }) {
    INFO(text);
    const auto read = read_origin(text);
    CHECK(read.origin == origin);
    CHECK(read.fault.empty());
  }
}

TEST_CASE("origin: a text that is none has a fault that says what is wrong with it", "[unit][cors]") {
  struct row {
    std::string_view text, says;
  };
  const std::string long_host = "https://" + std::string(256, 'a');
  for (const auto& [text, says] : {
           row{"*", "list the origins"},
           row{"null", "sandboxed"},
           row{"NULL", "sandboxed"},
           row{"https://*.example.com", "wildcard"},
           row{"http://localhost:*", "wildcard"},
           row{"", "no scheme"},
           row{"app.example.com", "no scheme"},
           row{"localhost:5173", "no scheme"},
           row{"https:app.example.com", "no scheme"},
           row{"//app.example.com", "no scheme"},
           row{"://app.example.com", "no valid scheme"},
           row{"1http://app.example.com", "no valid scheme"},
           row{"ht tp://app.example.com", "no valid scheme"},
           row{"https://app.example.com/", "has a path"},
           row{"https://app.example.com/chat", "has a path"},
           row{"https://app.example.com?x=1", "has a path"},
           row{"https://app.example.com#x", "has a path"},
           row{"https://app.example.com\\x", "has a path"},
           row{"file:///home", "has a path"},
           row{"https://user@app.example.com", "user name"},
           row{"https://user:pass@app.example.com", "user name"},
           row{"https://", "no host"},
           row{"https://:443", "no host"},
           row{"https://b\xc3\xbc"
               "cher.example",
               "xn--"},
           row{"https://app example.com", "no valid host"},
           row{"https://app..example.com", "no valid host"},
           row{"https://.example.com", "no valid host"},
           row{"https://app.example.com\r\nx: y", "no valid host"},
           row{"http://127.1", "no valid host"},
           row{"http://256.0.0.1", "no valid host"},
           row{long_host, "no valid host"},
           row{"http://[::1", "IPv6"},
           row{"http://[]", "IPv6"},
           row{"http://[127.0.0.1]", "IPv6"},
           row{"http://[::1%25eth0]", "IPv6"},
           row{"http://[::1]x", "no valid port"},
           row{"http://localhost:", "no valid port"},
           row{"http://localhost:0", "no valid port"},
           row{"http://localhost:65536", "no valid port"},
           row{"http://localhost:+80", "no valid port"},
           row{"http://localhost:80:80", "no valid port"},
           row{"http://::1", "no host"},
           row{"http://fe80::1", "no valid port"},
       }) {
    INFO(text);
    const auto read = read_origin(text);
    CHECK(read.origin.empty());
    CHECK(read.fault.find(says) != std::string_view::npos);
  }
}

}  // namespace llm_proxy
