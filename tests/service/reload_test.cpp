// SIGHUP: changed options of a running service apply to the next request, and disturb no request in flight.
#include "actors/service/service_parts.hpp"
#include "support/program.hpp"
#include "support/upstream_chat.hpp"

#include <csignal>
#include <filesystem>
#include <fstream>
#include <string>

namespace llm_proxy::test {

namespace {

using namespace std::chrono_literals;

response ask(const proxy& service, std::string_view model) {
  return chat(service, chat_body(model), header_list{});
}

response models_of(std::uint16_t port) {
  return request(port, "GET", "/v1/models", {key_field});
}

/// A directory with a .env, which is removed with this object.
class env_folder {
 public:
  env_folder() {
    std::string pattern = std::filesystem::temp_directory_path() / "llm-proxy-env-XXXXXX";
    if (::mkdtemp(pattern.data()) == nullptr) throw std::runtime_error{"mkdtemp"};
    path_ = pattern;
  }
  ~env_folder() { std::filesystem::remove_all(path_); }
  void write(std::string_view lines) const { std::ofstream{path_ / ".env"} << lines; }
  std::string path() const { return path_; }

 private:
  std::filesystem::path path_;
};

}  // namespace

TEST_CASE("reload: new upstreams serve the next request, and an open stream ends on its old one",
          "[service][reload]") {
  scripted_upstream old_one, new_one;
  auto values = litellm_settings(old_one.url());
  proxy service{values};
  raw_connection streaming{service.port()};
  REQUIRE(send_chat(streaming, chat_body("slow", true, "one two three four five six seven eight")));
  REQUIRE(eventually([&] { return chats_of(old_one).size() == 1; }));

  values.litellm_proxy_url = {new_one.url()};
  service.reconfigure(values);
  CHECK(ask(service, "gpt-x").status == 200);
  CHECK(chats_of(new_one).back().text("model") == "gpt-x");
  const auto ended = read_response(streaming, long_patience);
  CHECK(ended.status == 200);
  CHECK(holds(ended.body, "[DONE]"));

  // From one upstream to several and back: each change replaces the table of upstreams together with the
  // pool.
  values.litellm_proxy_url = {old_one.url(), new_one.url(), "http://127.0.0.1:1"};
  service.reconfigure(values);
  for (int i = 0; i < 20; ++i) CHECK(ask(service, "gpt-x").status == 200);
  values.litellm_proxy_url = {old_one.url()};
  service.reconfigure(values);
  for (int i = 0; i < 5; ++i) CHECK(ask(service, "last").status == 200);
  CHECK(chats_of(old_one).back().text("model") == "last");
}

TEST_CASE("reload: aliases, limits and rules apply from the next request on", "[service][reload]") {
  scripted_upstream up;
  auto values = litellm_settings(up.url());
  proxy service{values};
  CHECK(ask(service, "fast").status == 200);
  CHECK(chats_of(up).back().text("model") == "fast");
  values.model_aliases = {{"fast", "gpt-x"}};
  values.max_body_bytes = 200;
  values.max_concurrent_requests = 1;
  service.reconfigure(values);
  CHECK(ask(service, "fast").status == 200);
  CHECK(chats_of(up).back().text("model") == "gpt-x");
  CHECK(ask(service, std::string(300, 'x')).status == 413);
  raw_connection busy{service.port()};
  REQUIRE(send_chat(busy, chat_body("hang", true)));
  REQUIRE(eventually([&] { return service.parts().gauges->slots == 1; }));
  CHECK(ask(service, "fast").status == 503);
  values.max_concurrent_requests = 0;
  service.reconfigure(values);
  CHECK(ask(service, "fast").status == 200);
}

TEST_CASE("reload: repeated changes leave no pool behind", "[service][reload]") {
  scripted_upstream up;
  auto values = litellm_settings(up.url());
  proxy service{values};
  CHECK(ask(service, "gpt-x").status == 200);
  const auto running = [&] { return service.parts().system->registry().running(); };
  const auto before = running();
  for (std::size_t i = 1; i <= 10; ++i) {
    values.adapter_pool_size = 2 + i % 2;
    service.reconfigure(values);
    CHECK(ask(service, "gpt-x").status == 200);
  }
  CHECK(eventually([&] { return running() <= before + 1; }));  // there may be one adapter more than before
}

TEST_CASE("program: SIGHUP reads .env again", "[service][program][reload]") {
  const env_folder folder;
  folder.write("LLM_PROXY__LOG_LEVEL=INFO\n");
  auto how = with(mock_environment());
  how.directory = folder.path();
  child_process service{program, how};
  const auto port = port_of(service);
  REQUIRE(port != 0);

  folder.write(
      "LLM_PROXY__LOG_LEVEL=INFO\nLLM_PROXY__MODEL_ALIASES=fast=mock-llm\nLLM_PROXY__DRAIN_TIMEOUT=3s\n");
  service.signal(SIGHUP);
  CHECK(service.wait_for_output("SIGHUP: changed: LLM_PROXY__MODEL_ALIASES, LLM_PROXY__DRAIN_TIMEOUT",
                                long_patience));
  CHECK(holds(models_of(port).body, "\"fast\""));

  folder.write("LLM_PROXY__KEEP_ALIVE_TIMEOUT=9s\nLLM_PROXY__MODEL_ALIASES=fast=mock-llm\n");
  service.signal(SIGHUP);
  CHECK(service.wait_for_output("takes a restart: LLM_PROXY__KEEP_ALIVE_TIMEOUT", long_patience));

  folder.write("LLM_PROXY__IDLE_TIMEOUT=soon\nLLM_PROXY__MODEL_ALIASES=\n");
  service.signal(SIGHUP);
  CHECK(service.wait_for_output("LLM_PROXY__IDLE_TIMEOUT: ", long_patience));
  CHECK(service.wait_for_output("SIGHUP: the options stay as they were", long_patience));
  CHECK(holds(models_of(port).body, "\"fast\""));

  folder.write("LLM_PROXY__LOG_LEVEL=ERROR\n");
  service.signal(SIGHUP);
  CHECK(eventually([&] { return !holds(models_of(port).body, "\"fast\""); }));
  service.signal(SIGTERM);
  CHECK(service.wait(long_patience) == 0);
  // The new level is in effect, so neither the last requests nor the end are logged.
  CHECK_FALSE(holds(service.out(), "all requests ended"));
}

}  // namespace llm_proxy::test
