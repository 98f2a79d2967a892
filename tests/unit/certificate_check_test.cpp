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

/// The only warning for `file`; else how many there are.
std::string warning_for(const std::string& file, certificate_use use = certificate_use::shown_to_clients) {
  const auto all = warnings_for(file, use);
  return all.size() == 1 ? all.front() : std::to_string(all.size()) + " warnings";
}

bool holds(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("certificate check: a whole chain within its dates is not warned of, whoever its root is",
          "[unit][tls]") {
  const test_certificate root{{.name = "root", .authority = true}};
  const test_certificate between{{.name = "between", .authority = true}, &root};
  const test_certificate own{{.name = "own", .host = "localhost"}, &between};
  CHECK(warnings_for(own.chain({&between})).empty());
  CHECK(warnings_for(own.chain({&between, &root})).empty());
  CHECK(warnings_for("/no/such/file").empty());
}

TEST_CASE("certificate check: a chain that lacks our issuer's certificate is warned of", "[unit][tls]") {
  const test_certificate root{{.name = "root", .authority = true}};
  const test_certificate between{{.name = "between", .authority = true}, &root};
  const test_certificate own{{.name = "own", .host = "localhost"}, &between};
  for (const auto& file : {own.file(), own.chain({&root})}) {
    const auto warning = warning_for(file);
    CHECK(holds(warning, "OPTION: " + file +
                             ": the certificate CN=own stands without that of its issuer "
                             "CN=between"));
  }
  // An authority that this machine trusts, its clients may have too.
  ::setenv("SSL_CERT_FILE", between.file().c_str(), 1);
  CHECK(warnings_for(own.file()).empty());
  ::unsetenv("SSL_CERT_FILE");
  // Whether LiteLLM knows the issuer is its operator's to see to.
  CHECK(warnings_for(own.file(), certificate_use::shown_to_litellm).empty());
}

TEST_CASE("certificate check: what is self-signed, expired or not yet valid is named with its dates",
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
  // One in the middle ends the chain as well.
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
