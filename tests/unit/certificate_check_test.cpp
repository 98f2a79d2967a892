#include "http/tls/certificate_check.hpp"

#include "support/catch.hpp"
#include "support/test_certificates.hpp"

#include <ctime>

namespace llm_proxy::test {

namespace {

using namespace std::chrono_literals;

std::vector<std::string> warnings_for(const std::string& file,
                                      certificate_use use = certificate_use::shown_to_clients) {
  return certificate_warnings("OPTION", file, use, std::time(nullptr));
}

/// Returns the only warning for `file`, or how many there are if there is not exactly one.
std::string warning_for(const std::string& file, certificate_use use = certificate_use::shown_to_clients) {
  const auto all = warnings_for(file, use);
  return all.size() == 1 ? all.front() : std::to_string(all.size()) + " warnings";
}

bool holds(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("certificate check: a whole chain within its dates causes no warning, whatever its root",
          "[unit][tls]") {
  const test_certificate root{{.name = "root", .authority = true}};
  const test_certificate between{{.name = "between", .authority = true}, &root};
  const test_certificate own{{.name = "own", .host = "localhost"}, &between};
  CHECK(warnings_for(own.chain({&between})).empty());
  CHECK(warnings_for(own.chain({&between, &root})).empty());
  CHECK(warnings_for("/no/such/file").empty());
}

TEST_CASE("certificate check: a chain without our issuer's certificate causes a warning", "[unit][tls]") {
  const test_certificate root{{.name = "root", .authority = true}};
  const test_certificate between{{.name = "between", .authority = true}, &root};
  const test_certificate own{{.name = "own", .host = "localhost"}, &between};
  for (const auto& file : {own.file(), own.chain({&root})}) {
    const auto warning = warning_for(file);
    CHECK(holds(warning, "OPTION: " + file +
                             ": the certificate CN=own stands without that of its issuer "
                             "CN=between"));
  }
  // If this machine trusts the authority, the clients may trust it, too.
  ::setenv("SSL_CERT_FILE", between.file().c_str(), 1);
  CHECK(warnings_for(own.file()).empty());
  ::unsetenv("SSL_CERT_FILE");
  // LiteLLM's operator has to see to it that LiteLLM knows the issuer.
  CHECK(warnings_for(own.file(), certificate_use::shown_to_litellm).empty());
}

TEST_CASE("certificate check: self-signed, expired and not yet valid certificates are named with their dates",
          "[unit][tls]") {
  const test_certificate alone{{.name = "alone", .host = "localhost"}};
  CHECK(holds(warning_for(alone.file()), "CN=alone is self-signed"));
  const test_certificate root{{.name = "root", .authority = true}};
  const test_certificate old{{.name = "old", .from = -48h, .until = -24h}, &root};
  const test_certificate early{{.name = "early", .from = 24h, .until = 48h}, &root};
  for (const auto use : {certificate_use::shown_to_clients, certificate_use::shown_to_litellm}) {
    const auto expired = warning_for(old.chain({&root}), use);
    CHECK(holds(expired, "CN=old has expired (on 20"));
    CHECK(holds(expired, " UTC)"));
    CHECK(holds(warning_for(early.chain({&root}), use), "CN=early is not yet valid (before 20"));
  }
  // An expired certificate in the middle breaks the chain as well.
  const test_certificate old_between{{.name = "between", .authority = true, .from = -48h, .until = -24h},
                                     &root};
  const test_certificate own{{.name = "own"}, &old_between};
  CHECK(holds(warning_for(own.chain({&old_between})), "CN=between has expired"));
}

TEST_CASE("certificate check: a name cannot bring line breaks into the warning", "[unit][tls]") {
  const test_certificate odd{{.name = "a\nb\x1b[1m"}};
  const auto warning = warning_for(odd.file());
  CHECK(holds(warning, "is self-signed"));
  CHECK_FALSE(holds(warning, "\n"));
  CHECK_FALSE(holds(warning, "\x1b"));
}

}  // namespace llm_proxy::test
