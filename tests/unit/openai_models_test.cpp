#include "http/dialect/openai_models.hpp"

#include "http/json/json_scanner.hpp"
#include "support/catch.hpp"

#include <string>
#include <vector>

using namespace llm_proxy;
using namespace std::string_literals;

TEST_CASE("openai models: reads a model list in its order", "[openai_models]") {
  const auto models = read_models(
      R"({"data":[{"id":"b","object":"model","created":1677610602,"owned_by":"openai"},{"id":"a/x","context_length":10,"max_input_tokens":20},
      {"id":"c","context_length":null,"max_input_tokens":20.0},{"id":7},{"object":"model"},null,{"id":"d","created":"x","owned_by":null,"context_length":-5,"max_input_tokens":"9"}],"object":"list"})");
  REQUIRE(models);
  REQUIRE(models->size() == 4);
  CHECK(models->at(0).id == "b");
  CHECK(models->at(0).name == "b");
  CHECK(models->at(0).created == 1677610602);
  CHECK(models->at(0).context_length == 4096);
  CHECK(models->at(0).provider == "LiteLLM");
  CHECK(models->at(0).is_available);
  CHECK(models->at(1).id == "a/x");
  CHECK(models->at(1).context_length == 10);
  CHECK(models->at(2).context_length == 20);
  CHECK(models->at(3).context_length == 4096);
  CHECK(models->at(3).owned_by == "openai");
  CHECK(read_models(R"({"data":[]})")->empty());
  for (const std::string& none : {""s, "[]"s, "{}"s, R"({"data":{}})"s, R"({"data":null})"s, R"({"data":[)"s,
                                  "{\"data\":[]}\0x"s, "<html>"s, R"({"error":{}})"s}) {
    CAPTURE(none);
    CHECK_FALSE(read_models(none));
  }
  CHECK(read_models("{\"data\":[" + std::string(200'000, '[') + std::string(200'000, ']') + "]}")->empty());
}

TEST_CASE("openai models: /model/info adds context length and provider", "[openai_models]") {
  auto models = *read_models(
      R"({"data":[{"id":"a","context_length":10},{"id":"b","context_length":10},{"id":"c"},{"id":"d"},{"id":"e"}]})");
  enrich_models(models, R"({"data":[
      {"model_name":"a","litellm_params":{"model":"openai/gpt-4o"},"model_info":{"max_input_tokens":128000,"litellm_provider":"openai"}},
      {"model_name":"a","model_info":{"max_input_tokens":5,"litellm_provider":"azure"}},
      {"model_name":"b","model_info":{"max_input_tokens":null,"litellm_provider":null}},
      {"model_name":"c","model_info":null},{"model_name":"c","model_info":{"litellm_provider":"mistral","max_input_tokens":"x"}},
      {"model_name":"d","model_info":[1]},{"model_name":null},{},7,null,{"model_name":"nobody","model_info":{"max_input_tokens":1}}]})");
  CHECK(models[0].context_length == 128000);
  CHECK(models[0].provider == "openai");
  CHECK(models[1].context_length == 10);
  CHECK(models[1].provider == "LiteLLM");
  CHECK(models[2].context_length == 4096);
  CHECK(models[2].provider == "mistral");
  CHECK(models[3].provider == "LiteLLM");
  const auto before = llm_models_body(models);
  for (const auto* nothing : {"", "{}", "[]", "null", R"({"data":7})", R"({"error":{"code":"403"}})"})
    enrich_models(models, nothing);
  CHECK(llm_models_body(models) == before);
}

TEST_CASE("openai models: model bodies", "[openai_models]") {
  model_entry model;
  model.id = model.name = "mock-llm";
  model.name = "FakeLLM \"Echo\"";
  model.provider = "Fake";
  model.created = 5;
  model.owned_by = "fake";
  CHECK(llm_models_body({}) == "[]");
  CHECK(
      llm_models_body({model}) ==
      R"([{"id":"mock-llm","name":"FakeLLM \"Echo\"","provider":"Fake","context_length":4096,"is_available":true}])");
  CHECK(model_body(model) == R"({"id":"mock-llm","object":"model","created":5,"owned_by":"fake"})");
  CHECK(models_list_body({}) == R"({"object":"list","data":[]})");
  CHECK(models_list_body({model, model}) ==
        R"({"object":"list","data":[)" + model_body(model) + "," + model_body(model) + "]}");
}
