#include "http/request/fastapi_detail.hpp"

#include "http/request/request_gate.hpp"
#include "support/catch.hpp"

#include <string>
#include <variant>

namespace llm_proxy {

namespace {

std::string detail_of(const std::string& body) {
  const auto checked = check_request(chat_rules, body);
  const auto* fault = std::get_if<request_fault>(&checked);
  return fault != nullptr ? validation_detail(fault->fields) : "none";
}

std::string one(const std::string& loc, const std::string& msg, const std::string& type) {
  return R"({"loc":[)" + loc + R"(],"msg":")" + msg + R"(","type":")" + type + R"("})";
}

}  // namespace

TEST_CASE("field faults: every field at fault is reported as FastAPI reports it", "[unit][request_gate]") {
  const auto model_missing = one(R"("body","model")", "Field required", "missing");
  const auto messages_missing = one(R"("body","messages")", "Field required", "missing");
  CHECK(detail_of("{}") == "[" + model_missing + "," + messages_missing + "]");
  CHECK(detail_of(R"({"model":7,"messages":[{"role":"user"},{"content":{}},7],"temperature":"0.5",)"
                  R"("stream":"false","max_tokens":"16","tools":{},"stop":1,"logit_bias":[]})") ==
        "[" + one(R"("body","model")", "Input should be a valid string", "string_type") + "," +
            one(R"("body","stream")", "Input should be a valid boolean", "bool_type") + "," +
            one(R"("body","temperature")", "Input should be a valid number", "float_type") + "," +
            one(R"("body","max_tokens")", "Input should be a valid number", "float_type") + "," +
            one(R"("body","tools")", "Input should be a valid list", "list_type") + "," +
            one(R"("body","stop")", "Input should be a valid string or list", "string_type") + "," +
            one(R"("body","logit_bias")", "Input should be a valid dictionary", "dict_type") + "," +
            one(R"("body","messages",1,"role")", "Field required", "missing") + "," +
            one(R"("body","messages",1,"content")", "Input should be a valid string or list", "string_type") +
            "," + one(R"("body","messages",2)", "Input should be a valid dictionary", "dict_type") + "]");
  CHECK(detail_of("[]") == "[" + one(R"("body")", "Input should be a valid dictionary", "dict_type") + "]");
  CHECK(detail_of(R"({"model":"m","messages":[]})") == "none");
  // A body that is not JSON has no fields.
  CHECK(detail_of("{") == "[]");
}

TEST_CASE("field faults: of duplicate messages the last ones count, and the list is bounded",
          "[unit][request_gate]") {
  CHECK(detail_of(R"({"model":"m","messages":[{},7],"messages":[]})") == "none");
  std::string body = R"({"model":"m","messages":[0)";
  for (int i = 0; i < 5000; ++i) body += ",0";
  const auto checked = check_request(chat_rules, body + "]}");
  const auto& fault = std::get<request_fault>(checked);
  CHECK(fault.param == "messages[0]");
  REQUIRE(fault.fields.size() == request_fault::most_fields);
  CHECK(fault.fields.back().param == "messages[99]");
}

}  // namespace llm_proxy
