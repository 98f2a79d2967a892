#include "http/metrics.hpp"

#include "http/resident_memory.hpp"

#include <chrono>
#include <ctime>
#include <filesystem>
#include <sys/resource.h>
#include <system_error>
#include <utility>

namespace llm_proxy {

namespace {

constexpr std::string_view other = "other";
/// No model's id is as long; what is would make every scrape so.
constexpr std::size_t longest_label = 128;

const auto process_start = std::chrono::system_clock::now();

double seconds_of(const timeval& time) {
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
}

}  // namespace

std::string_view operation_of(std::string_view path) {
  if (path.ends_with("/chat/completions") || path == "/v1/messages" || path == "/v1/responses") return "chat";
  if (path == "/v1/completions") return "text_completion";
  if (path == "/v1/embeddings") return "embeddings";
  if (path == "/v1/rerank") return "rerank";
  if (path == "/v1/moderations") return "moderation";
  if (path.starts_with("/v1/images/")) return "image";
  if (path.starts_with("/v1/audio/")) return "audio";
  return {};
}

std::string_view model_labels::label_of(std::string_view model, bool may_add) {
  if (model.empty()) return model;
  if (model.size() > longest_label) return other;
  const std::lock_guard lock{changing_};
  if (known_.find(model) != known_.end()) return model;
  if (!may_add || known_.size() >= most_) return other;
  known_.emplace(model);
  return model;
}

std::string_view model_labels::label_of_answer(std::string_view model, std::string_view answered,
                                               bool may_add) {
  if (answered.empty()) return answered;
  if (model == other || answered.size() > longest_label) return other;
  std::string pair{model};
  pair.append(1, '\0').append(answered);
  const std::lock_guard lock{changing_};
  if (known_answers_.find(pair) != known_answers_.end()) return answered;
  if (!may_add || known_answers_.size() >= 2 * most_) return other;
  known_answers_.insert(std::move(pair));
  return answered;
}

thread_metrics::model_counts& thread_metrics::counts_of(const request_facts& facts) {
  const auto error = facts.complete ? std::string_view{} : facts.verdict;
  model_view wanted{facts.model, facts.response_model, facts.key, facts.operation, error};
  if (const auto at = by_model_.find(wanted); at != by_model_.end()) return at->second;
  // A name that upstream refused, or that never got there, is anybody's invention: it gets no label.
  const bool refused = facts.status >= 400 && facts.status < 500;
  wanted.model = models_->label_of(facts.model, !refused);
  wanted.response_model = models_->label_of_answer(wanted.model, facts.response_model, !refused);
  if (const auto at = by_model_.find(wanted); at != by_model_.end()) return at->second;
  return by_model_[model_key{std::string{wanted.model}, std::string{wanted.response_model},
                             std::string{wanted.key}, wanted.operation, error}];
}

void thread_metrics::record(const request_facts& facts) {
  ++requests_[request_key{facts.route, facts.verdict, facts.status}];
  bytes_in_ += facts.bytes_in;
  bytes_out_ += facts.bytes_out;
  retries_ += facts.retries;
  if (facts.operation.empty()) return;
  auto& counts = counts_of(facts);
  counts.duration.add(facts.seconds);
  if (facts.first_token_seconds) counts.first_token.add(*facts.first_token_seconds);
  if (!facts.usage) return;
  const auto produced = facts.usage->completion_tokens;
  counts.input_tokens.add(static_cast<double>(facts.usage->prompt_tokens));
  counts.output_tokens.add(static_cast<double>(produced));
  if (facts.complete && facts.first_token_seconds && produced > 1) {
    counts.per_token.add((facts.seconds - *facts.first_token_seconds) / static_cast<double>(produced - 1));
  }
}

void thread_metrics::add(const thread_metrics& from) {
  for (const auto& [key, count] : from.requests_) requests_[key] += count;
  for (const auto& [key, counts] : from.by_model_) {
    auto& mine = by_model_[key];
    mine.duration.add(counts.duration);
    mine.first_token.add(counts.first_token);
    mine.per_token.add(counts.per_token);
    mine.input_tokens.add(counts.input_tokens);
    mine.output_tokens.add(counts.output_tokens);
  }
  bytes_in_ += from.bytes_in_;
  bytes_out_ += from.bytes_out_;
  retries_ += from.retries_;
  connections_accepted += from.connections_accepted;
  upstream_resends += from.upstream_resends;
  connections_evicted += from.connections_evicted;
  response_bytes_unsent += from.response_bytes_unsent;
  sessions += from.sessions;
  streams_open += from.streams_open;
  queue_wait.add(from.queue_wait);
  mailbox_delay.add(from.mailbox_delay);
  cancel_time.add(from.cancel_time);
  longest_turn = std::max(longest_turn, from.longest_turn);
}

void thread_metrics::write(prometheus_text& text) const {
  write_models(text);
  write_requests(text);
  text.family("llm_proxy_sessions", "gauge", "Session actors alive, but for those of ADMIN_PORT.");
  text.sample({}, static_cast<double>(sessions));
  text.family("llm_proxy_streams_open", "gauge", "Answers that are being passed on as they come.");
  text.sample({}, static_cast<double>(streams_open));
  text.family("llm_proxy_connections_accepted_total", "counter",
              "Client connections taken in, but for those of ADMIN_PORT.");
  text.sample({}, connections_accepted);
  text.family("llm_proxy_connections_evicted_total", "counter",
              "Idle client connections closed to make room for others, but for those of ADMIN_PORT.");
  text.sample({}, connections_evicted);
  text.family("llm_proxy_response_bytes_unsent", "gauge",
              "Bytes of answers that clients have not taken, ADMIN_PORT's among them.");
  text.sample({}, response_bytes_unsent);
  text.family("llm_proxy_queue_wait_seconds", "histogram", "Time that queued requests waited for a slot.");
  queue_wait.write(text, {});
  text.family("llm_proxy_mailbox_delay_seconds", "histogram",
              "From a message sent to an actor to its handler, sampled every second on every thread.");
  mailbox_delay.write(text, {});
  text.family("llm_proxy_client_cancel_seconds", "histogram",
              "From a client's leaving, once noticed, to its upstream connection closed.");
  cancel_time.write(text, {});
  text.family("llm_proxy_event_loop_longest_turn_seconds", "gauge",
              "Longest turn of an I/O thread in the last 10 to 20 s.");
  text.sample({}, longest_turn);
}

void thread_metrics::write_requests(prometheus_text& text) const {
  text.family("llm_proxy_requests_total", "counter",
              "Requests that have ended, by how they did; none of ADMIN_PORT.");
  for (const auto& [key, count] : requests_) {
    const auto& [route, verdict, status] = key;
    text.sample({{"route", route}, {"status", std::to_string(status)}, {"verdict", verdict}}, count);
  }
  text.family("llm_proxy_request_bytes_total", "counter", "Bytes of request bodies read from clients.");
  text.sample({}, bytes_in_);
  text.family("llm_proxy_response_bytes_total", "counter", "Bytes of answer bodies written to clients.");
  text.sample({}, bytes_out_);
  text.family("llm_proxy_retries_total", "counter", "Further tries of requests (RETRIES).");
  text.sample({}, retries_);
  text.family("llm_proxy_upstream_resends_total", "counter",
              "Requests sent again since a kept connection to upstream died before it took any of them.");
  text.sample({}, upstream_resends);
}

void thread_metrics::write_models(prometheus_text& text) const {
  std::map<model_key, const model_counts*> sorted;
  for (const auto& [key, counts] : by_model_) sorted.emplace(key, &counts);
  const auto each = [&](auto histogram_of, std::string_view token_type = {}) {
    for (const auto& [key, counts] : sorted) {
      const auto& histogram = histogram_of(*counts);
      if (histogram.empty()) continue;
      histogram.write(text, {{"gen_ai_operation_name", key.operation},
                             {"gen_ai_request_model", key.model},
                             {"gen_ai_response_model", key.response_model},
                             {"gen_ai_token_type", token_type},
                             {"error_type", key.error},
                             {"key", key.key}});
    }
  };
  text.family("gen_ai_server_request_duration_seconds", "histogram", "From a request's head to its end.");
  each([](const auto& counts) -> const auto& { return counts.duration; });
  text.family("gen_ai_server_time_to_first_token_seconds", "histogram",
              "From a streamed request's head to upstream's first byte.");
  each([](const auto& counts) -> const auto& { return counts.first_token; });
  text.family("gen_ai_server_time_per_output_token_seconds", "histogram",
              "Time per token of a complete stream after its first one, where upstream told its usage.");
  each([](const auto& counts) -> const auto& { return counts.per_token; });
  text.family("gen_ai_client_token_usage", "histogram", "Tokens of a request, where upstream told them.");
  each(
      [](const auto& counts) -> const auto& { return counts.input_tokens; }, "input");
  each(
      [](const auto& counts) -> const auto& { return counts.output_tokens; }, "output");
}

void write_process_metrics(prometheus_text& text) {
  rusage used{};
  getrusage(RUSAGE_SELF, &used);
  text.family("process_cpu_seconds_total", "counter", "User and system time.");
  text.sample({}, seconds_of(used.ru_utime) + seconds_of(used.ru_stime));
  text.family("process_resident_memory_bytes", "gauge", "Memory in use (RSS).");
  text.sample({}, static_cast<std::uint64_t>(resident_bytes()));
  std::error_code failed;
  std::uint64_t open = 0;
  std::filesystem::directory_iterator descriptors{"/proc/self/fd", failed};
  for (; !failed && descriptors != std::filesystem::directory_iterator{}; descriptors.increment(failed))
    ++open;
  text.family("process_open_fds", "gauge", "Open file descriptors.");
  text.sample({}, open);
  rlimit descriptor_limit{};
  getrlimit(RLIMIT_NOFILE, &descriptor_limit);
  text.family("process_max_fds", "gauge", "Most file descriptors that may be open.");
  text.sample({}, static_cast<std::uint64_t>(descriptor_limit.rlim_cur));
  text.family("process_start_time_seconds", "gauge", "When it started, in seconds since 1970.");
  text.sample({}, std::chrono::duration<double>(process_start.time_since_epoch()).count());
}

}  // namespace llm_proxy
