// The counts of one I/O thread, and how the counts of all threads become the text of GET /metrics.
//
// A thread writes only its own block, which has plain numbers, no atomics and no shared cache line. A reader
// asks for a copy by message (actors/telemetry/metrics.hpp). The hot path allocates only for the first
// request of a label set. Label sets are numbered over all threads (metric_labels.hpp), so a block is a few
// arrays and quick to copy: 0.1 ms with as many label sets as fit into a scrape.
#pragma once

#include "http/dialect/token_usage.hpp"
#include "http/telemetry/metric_histogram.hpp"
#include "http/telemetry/metric_labels.hpp"
#include "http/telemetry/prometheus_text.hpp"
#include "http/telemetry/text_steps.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <unordered_map>
#include <vector>

namespace llm_proxy {

/// How one request ended. The views must stay valid during the call, those marked static for ever.
struct request_facts {
  std::string_view route;      ///< static: the path pattern of its route
  std::string_view operation;  ///< static: gen_ai.operation.name; empty if no model is asked
  std::string_view verdict;    ///< static
  bool complete = false;       ///< whether the verdict is a success
  unsigned status = 0;
  std::string_view key;             ///< the name of its key; empty if there is none
  std::string_view model;           ///< the id by which upstream knows the model
  std::string_view response_model;  ///< the model that answered, as upstream names it; empty if it does not
  double seconds = 0;
  std::optional<double> first_token_seconds;  ///< of streams only
  std::optional<token_usage> usage;
  std::uint64_t bytes_in = 0;
  std::uint64_t bytes_out = 0;
  unsigned retries = 0;
};

/// Returns the gen_ai.operation.name of a route's path; empty if the route asks no model.
std::string_view operation_of(std::string_view path);

/// The label sets of all families, shared by all threads.
struct metric_families {
  explicit metric_families(std::size_t most_models = 200,
                           std::shared_ptr<scrape_room> room_of_all = std::make_shared<scrape_room>());

  std::shared_ptr<scrape_room> room;
  model_labels models;
  label_sets requests;
  label_sets duration;
  label_sets first_token;
  label_sets per_token;
  label_sets tokens;  ///< of input and output tokens: each label set stands for two combinations
};

/// The counts of one thread, or of several together. The arrays are indexed by the numbers of the families'
/// label sets.
struct metric_counts {
  explicit metric_counts(std::shared_ptr<metric_families> families_of_all)
      : families{std::move(families_of_all)} {}

  /// Adds the counts of another thread, which must use the same families.
  void add(const metric_counts& other);
  /// Adds the steps that write all counts. This object and `text` must outlive the steps.
  void write(prometheus_text& text, text_steps& steps) const;

  std::shared_ptr<metric_families> families;
  std::vector<std::uint64_t> requests;
  std::vector<metric_histogram<duration_bounds>> duration;
  std::vector<metric_histogram<first_token_bounds>> first_token;
  std::vector<metric_histogram<per_token_bounds>> per_token;
  std::vector<metric_histogram<token_bounds>> input_tokens;
  std::vector<metric_histogram<token_bounds>> output_tokens;
  std::uint64_t bytes_in = 0;
  std::uint64_t bytes_out = 0;
  std::uint64_t retries = 0;
  std::uint64_t connections_accepted = 0;
  std::uint64_t upstream_resends = 0;  ///< by a connection itself (upstream_connection_options::on_resend)
  std::uint64_t connections_evicted = 0;
  std::uint64_t response_bytes_unsent = 0;  ///< set when a copy is made
  std::int64_t sessions = 0;
  std::int64_t streams_open = 0;
  metric_histogram<duration_bounds> queue_wait;
  metric_histogram<delay_bounds> mailbox_delay;
  metric_histogram<delay_bounds> cancel_time;
  double longest_turn = 0;  ///< seconds
};

/// The block of one thread. record() counts a request when it ends; everything else is counted where it
/// happens.
class thread_metrics : public metric_counts {
 public:
  explicit thread_metrics(
      std::shared_ptr<metric_families> families_of_all = std::make_shared<metric_families>())
      : metric_counts{std::move(families_of_all)} {}

  void record(const request_facts& facts);

 private:
  static constexpr std::uint32_t nowhere = UINT32_MAX;

  using request_key = std::tuple<std::string_view, std::string_view, unsigned>;  // route, verdict, status
  struct model_key {
    std::string model;
    std::string response_model;
    std::string key;
    std::string_view operation;
    std::string_view error;
  };
  /// The same without ownership, for look-ups.
  struct model_view {
    std::string_view model;
    std::string_view response_model;
    std::string_view key;
    std::string_view operation;
    std::string_view error;
    bool operator==(const model_view&) const = default;
  };
  static model_view view(const model_key& of) {
    return {of.model, of.response_model, of.key, of.operation, of.error};
  }
  static model_view view(const model_view& of) { return of; }
  struct model_hash {
    using is_transparent = void;
    std::size_t operator()(const auto& of) const {
      const auto v = view(of);
      const std::hash<std::string_view> hash;
      // There are few operations and errors, and their sizes distinguish most of them.
      return hash(v.model) * 31 + hash(v.response_model) * 23 + hash(v.key) * 17 + v.operation.size() * 7 +
             v.error.size();
    }
  };
  struct model_equal {
    using is_transparent = void;
    bool operator()(const auto& a, const auto& b) const { return view(a) == view(b); }
  };
  /// The number of a label set in each family; `nowhere` until it is first counted there.
  struct model_places {
    std::uint32_t duration = nowhere;
    std::uint32_t first_token = nowhere;
    std::uint32_t per_token = nowhere;
    std::uint32_t tokens = nowhere;
  };
  using model_entry = std::unordered_map<model_key, model_places, model_hash, model_equal>::value_type;

  std::uint32_t place_of_request(const request_facts& facts);
  model_entry& entry_of(const request_facts& facts);
  static std::uint32_t place_in(label_sets& family, std::uint32_t& known, const model_key& labels);
  static label_text text_of(const model_view& labels);
  static label_text coarse_text_of(const model_view& labels);

  std::map<request_key, std::uint32_t> request_places_;
  std::unordered_map<model_key, model_places, model_hash, model_equal> by_model_;
};

}  // namespace llm_proxy
