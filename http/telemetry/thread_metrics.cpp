#include "http/telemetry/thread_metrics.hpp"

#include <algorithm>
#include <utility>

namespace llm_proxy {

namespace {

constexpr std::string_view requests_name = "llm_proxy_requests_total";
constexpr std::string_view duration_name = "gen_ai_server_request_duration_seconds";
constexpr std::string_view first_token_name = "gen_ai_server_time_to_first_token_seconds";
constexpr std::string_view per_token_name = "gen_ai_server_time_per_output_token_seconds";
constexpr std::string_view tokens_name = "gen_ai_client_token_usage";
constexpr std::size_t longest_suffix = 7;       // _bucket
constexpr std::size_t longest_token_type = 28;  // ,gen_ai_token_type="output"

label_sets::costs histogram_costs(std::string_view name, std::size_t samples) {
  return {samples, name.size() + longest_suffix};
}

label_sets::costs tokens_costs() {
  return {metric_histogram<token_bounds>::samples, tokens_name.size() + longest_suffix + longest_token_type,
          2};
}

label_text request_labels(std::string_view route, std::string_view status, std::string_view verdict) {
  return {prometheus_text::labels({{"route", route}, {"status", status}, {"verdict", verdict}})};
}

/// The gap is where gen_ai_token_type is inserted.
label_text model_labels_text(std::string_view operation, std::string_view model,
                             std::string_view response_model, std::string_view error, std::string_view key) {
  label_text labels;
  labels.text = prometheus_text::labels({{"gen_ai_operation_name", operation},
                                         {"gen_ai_request_model", model},
                                         {"gen_ai_response_model", response_model}});
  labels.gap = labels.text.size();
  const auto behind = prometheus_text::labels({{"error_type", error}, {"key", key}});
  if (!behind.empty()) labels.text.append(",").append(behind);
  return labels;
}

std::string with_token_type(const label_text& labels, std::string_view type) {
  std::string text = labels.text;
  return text.insert(labels.gap, ",gen_ai_token_type=\"" + std::string{type} + "\"");
}

/// Returns the element with that number, which is created if it does not exist.
template <class Counted>
Counted& at(std::vector<Counted>& all, std::uint32_t number) {
  if (number >= all.size()) all.resize(number + 1);
  return all[number];
}

void add_all(std::vector<std::uint64_t>& sum, const std::vector<std::uint64_t>& more) {
  if (sum.size() < more.size()) sum.resize(more.size());
  for (std::size_t i = 0; i < more.size(); ++i) sum[i] += more[i];
}

template <class Histogram>
void add_all(std::vector<Histogram>& sum, const std::vector<Histogram>& more) {
  if (sum.size() < more.size()) sum.resize(more.size());
  for (std::size_t i = 0; i < more.size(); ++i) sum[i].add(more[i]);
}

/// Adds a step that calls `write_one(element, labels)` for one element of `all` at a time.
template <class Counted, class Write>
void add_numbers(text_steps& steps, const std::vector<Counted>& all, const label_sets& family,
                 Write write_one) {
  steps.add([&all, labels = family.all(), write_one, next = std::size_t{0}]() mutable {
    if (next < all.size()) write_one(all[next], *labels[next]);
    return ++next >= all.size();
  });
}

template <class Histogram>
void add_histograms(prometheus_text& text, text_steps& steps, const std::vector<Histogram>& all,
                    const label_sets& family, std::string_view token_type = {}) {
  add_numbers(steps, all, family, [&text, token_type](const Histogram& histogram, const label_text& labels) {
    if (histogram.empty()) return;
    if (token_type.empty())
      histogram.write_as(text, labels.text);
    else
      histogram.write_as(text, with_token_type(labels, token_type));
  });
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

metric_families::metric_families(std::size_t most_models, std::shared_ptr<scrape_room> room_of_all)
    : room{std::move(room_of_all)},
      models{most_models},
      requests{room, {1, requests_name.size()}, request_labels(other_label, other_label, other_label)},
      duration{room, histogram_costs(duration_name, metric_histogram<duration_bounds>::samples),
               model_labels_text(other_label, other_label, other_label, other_label, other_label)},
      first_token{room, histogram_costs(first_token_name, metric_histogram<first_token_bounds>::samples),
                  model_labels_text(other_label, other_label, other_label, other_label, other_label)},
      per_token{room, histogram_costs(per_token_name, metric_histogram<per_token_bounds>::samples),
                model_labels_text(other_label, other_label, other_label, other_label, other_label)},
      tokens{room, tokens_costs(),
             model_labels_text(other_label, other_label, other_label, other_label, other_label)} {}

// -- one thread ---------------------------------------------------------------------------

std::uint32_t thread_metrics::place_of_request(const request_facts& facts) {
  request_key wanted{facts.route, facts.verdict, facts.status};
  if (const auto found = request_places_.find(wanted); found != request_places_.end()) return found->second;
  const auto coarse = request_labels(other_label, other_label, facts.verdict);
  const auto place = families->requests.find_or_add(
      request_labels(facts.route, std::to_string(facts.status), facts.verdict), coarse);
  // Combinations without their own place are not stored here, because their number is unlimited.
  if (place.own) request_places_.emplace(wanted, place.number);
  return place.number;
}

label_text thread_metrics::text_of(const model_view& labels) {
  return model_labels_text(labels.operation, labels.model, labels.response_model, labels.error, labels.key);
}

/// Keeps the labels by which operators build sums. Labels whose number a client or the keys file can increase
/// become `other`.
label_text thread_metrics::coarse_text_of(const model_view& labels) {
  return model_labels_text(labels.operation, other_label, other_label, labels.error, other_label);
}

thread_metrics::model_entry& thread_metrics::entry_of(const request_facts& facts) {
  const auto error = facts.complete ? std::string_view{} : facts.verdict;
  model_view wanted{facts.model, facts.response_model, facts.key, facts.operation, error};
  if (const auto found = by_model_.find(wanted); found != by_model_.end()) return *found;
  // If the request was refused, by upstream or before it got there, the client may have invented the model's
  // name. Such a name gets no label.
  const bool refused = facts.status >= 400 && facts.status < 500;
  wanted.model = families->models.label_of(facts.model, !refused);
  wanted.response_model = families->models.label_of_answer(wanted.model, facts.response_model, !refused);
  if (const auto found = by_model_.find(wanted); found != by_model_.end()) return *found;
  const auto place = families->duration.find_or_add(text_of(wanted), coarse_text_of(wanted));
  if (!place.own) {
    wanted.model = wanted.response_model = wanted.key = other_label;
    if (const auto found = by_model_.find(wanted); found != by_model_.end()) return *found;
  }
  model_key key{std::string{wanted.model}, std::string{wanted.response_model}, std::string{wanted.key},
                wanted.operation, error};
  model_places places;
  places.duration = place.number;
  return *by_model_.emplace(std::move(key), places).first;
}

std::uint32_t thread_metrics::place_in(label_sets& family, std::uint32_t& known, const model_key& labels) {
  if (known == nowhere)
    known = family.find_or_add(text_of(view(labels)), coarse_text_of(view(labels))).number;
  return known;
}

void thread_metrics::record(const request_facts& facts) {
  ++at(requests, place_of_request(facts));
  bytes_in += facts.bytes_in;
  bytes_out += facts.bytes_out;
  retries += facts.retries;
  if (facts.operation.empty()) return;
  auto& [labels, places] = entry_of(facts);
  at(duration, places.duration).add(facts.seconds);
  if (facts.first_token_seconds)
    at(first_token, place_in(families->first_token, places.first_token, labels))
        .add(*facts.first_token_seconds);
  if (!facts.usage) return;
  const auto produced = facts.usage->completion_tokens;
  const auto where = place_in(families->tokens, places.tokens, labels);
  at(input_tokens, where).add(static_cast<double>(facts.usage->prompt_tokens));
  at(output_tokens, where).add(static_cast<double>(produced));
  if (facts.complete && facts.first_token_seconds && produced > 1) {
    at(per_token, place_in(families->per_token, places.per_token, labels))
        .add((facts.seconds - *facts.first_token_seconds) / static_cast<double>(produced - 1));
  }
}

// -- all threads ----------------------------------------------------------------------------

void metric_counts::add(const metric_counts& from) {
  add_all(requests, from.requests);
  add_all(duration, from.duration);
  add_all(first_token, from.first_token);
  add_all(per_token, from.per_token);
  add_all(input_tokens, from.input_tokens);
  add_all(output_tokens, from.output_tokens);
  bytes_in += from.bytes_in;
  bytes_out += from.bytes_out;
  retries += from.retries;
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

void metric_counts::write(prometheus_text& text, text_steps& steps) const {
  steps.add_once([&text] { text.family(duration_name, "histogram", "From a request's head to its end."); });
  add_histograms(text, steps, duration, families->duration);
  steps.add_once([&text] {
    text.family(first_token_name, "histogram", "From a streamed request's head to upstream's first byte.");
  });
  add_histograms(text, steps, first_token, families->first_token);
  steps.add_once([&text] {
    text.family(per_token_name, "histogram",
                "Time per token of a complete stream after its first one, where upstream told its usage.");
  });
  add_histograms(text, steps, per_token, families->per_token);
  steps.add_once(
      [&text] { text.family(tokens_name, "histogram", "Tokens of a request, where upstream told them."); });
  add_histograms(text, steps, input_tokens, families->tokens, "input");
  add_histograms(text, steps, output_tokens, families->tokens, "output");
  steps.add_once([&text] {
    text.family(requests_name, "counter", "Requests that have ended, by how they did; none of ADMIN_PORT.");
  });
  add_numbers(steps, requests, families->requests, [&text](std::uint64_t count, const label_text& labels) {
    if (count > 0) text.sample_as(labels.text, count);
  });
  steps.add_once([this, &text] {
    text.family("llm_proxy_request_bytes_total", "counter", "Bytes of request bodies read from clients.");
    text.sample({}, bytes_in);
    text.family("llm_proxy_response_bytes_total", "counter", "Bytes of answer bodies written to clients.");
    text.sample({}, bytes_out);
    text.family("llm_proxy_retries_total", "counter", "Further tries of requests (RETRIES).");
    text.sample({}, retries);
    text.family("llm_proxy_upstream_resends_total", "counter",
                "Requests sent again since a kept connection to upstream died before it took any of them.");
    text.sample({}, upstream_resends);
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
  });
}

}  // namespace llm_proxy
