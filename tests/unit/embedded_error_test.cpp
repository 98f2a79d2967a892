#include "http/dialect/embedded_error.hpp"

#include "support/catch.hpp"

#include <string>
#include <string_view>

using namespace llm_proxy;
using namespace std::string_literals;

TEST_CASE("embedded error: an event that is an error by its name is read as one, whatever its data",
          "[unit][embedded_error]") {
  for (const std::string same : {R"({"error":{"message":"m"}})", R"({"type":"error","message":"m"})",
                                 R"([{"error":"m"}])", R"({"detail":"m"})", "{}", "[]", "1"}) {
    INFO(same);
    CHECK(as_error(same) == same);
  }
  CHECK(as_error("Overloaded") == R"({"error":"Overloaded"})");
  CHECK(as_error("\"Overloaded\"") == R"({"error":"Overloaded"})");
  CHECK(as_error("a \"quoted\" text") == R"({"error":"a \"quoted\" text"})");
  CHECK(as_error(R"({"code":"overloaded"})") == R"({"error":{"code":"overloaded"}})");
  CHECK(find_error(as_error(R"({"message":"m","type":"t"})")).type == "t");
}

TEST_CASE("embedded error: finds an embedded error", "[embedded_error]") {
  const auto found =
      find_error(R"({"error":{"message":"no \u0041","type":"None","param":"None","code":"429"}})");
  CHECK(found.present);
  CHECK(found.status == 429);
  CHECK(found.type.empty());
  CHECK(found.code == "429");
  CHECK(found.message == "no A");
  CHECK(find_error(R"({"error":{"code":503,"type":"x"}})").status == 503);
  CHECK(find_error(R"({"error":{"code":503,"type":"x"}})").type == "x");
  CHECK(find_error(R"({"error":{"type":"key_model_access_denied","code":"401"}})").type ==
        "key_model_access_denied");
  for (const auto* no_status :
       {R"({"error":{}})", R"({"error":{"code":null}})", R"({"error":{"code":"model_not_found"}})",
        R"({"error":{"code":200}})", R"({"error":{"code":"600"}})", R"({"error":{"code":4.29e2}})",
        R"({"error":{"code":" 429"}})", R"({"error":"text"})", R"({"error":[1]})",
        R"({"error":{"code":99999999999999999999}})", R"({"error":{"code":{"code":429}}})"}) {
    CAPTURE(no_status);
    CHECK(find_error(no_status).present);
    CHECK(find_error(no_status).status == 0);
  }
  for (const auto* none :
       {"", "{}", R"({"error":null})", R"({"x":{"error":{"code":500}}})", R"([{"error":{}}])",
        R"({"error":{"code":500}} x)", R"({"error":{},"error":null})", R"({"error":false})"}) {
    CAPTURE(none);
    CHECK_FALSE(find_error(none).present);
  }
  CHECK(find_error(R"({"error":null,"error":{"code":400,"code":"500"}})").status == 500);
  CHECK(find_error(R"({"error":"text"})").message == "text");
}
