// What one I/O thread counts, and how the counts of all become the text of GET /metrics.
//
// A thread writes its own block and no other: plain numbers, no atomics, no shared cache line. Who wants to
// read it asks by message (actors/metrics.hpp) and gets a copy. The hot path allocates for the first request
// of a label set only.
#pragma once

#include "http/prometheus_text.hpp"
#include "http/token_usage.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <tuple>
#include <unordered_map>

namespace llm_proxy {

// Bounds as the OTel semantic conventions for GenAI metrics advise
// (https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-metrics/).
inline constexpr std::array duration_bounds{0.01, 0.02, 0.04, 0.08,  0.16,  0.32,  0.64,
                                            1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92};
inline constexpr std::array first_token_bounds{0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1,
                                               0.25,  0.5,   0.75, 1.0,  2.5,  5.0,  7.5,  10.0};
inline constexpr std::array per_token_bounds{0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2,
                                             0.3,  0.4,   0.5,  0.75,  1.0, 2.5};
inline constexpr std::array token_bounds{1.0,       4.0,       16.0,       64.0,      256.0,
                                         1024.0,    4096.0,    16384.0,    65536.0,   262144.0,
                                         1048576.0, 4194304.0, 16777216.0, 67108864.0};
/// Of what should take microseconds.
inline constexpr std::array delay_bounds{0.00001, 0.0001, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0};

/// `Bounds`: the upper ends of its buckets, each included.
template <const auto& Bounds>
class metric_histogram {
 public:
  void add(double value) {
    const auto at = std::lower_bound(Bounds.begin(), Bounds.end(), value) - Bounds.begin();
    ++counts_[static_cast<std::size_t>(at)];
    sum_ += value;
  }
  void add(const metric_histogram& other) {
    for (std::size_t i = 0; i < counts_.size(); ++i) counts_[i] += other.counts_[i];
    sum_ += other.sum_;
  }
  bool empty() const {
    return std::all_of(counts_.begin(), counts_.end(), [](auto count) { return count == 0; });
  }
  void write(prometheus_text& text, metric_labels labels) const {
    text.histogram(labels, Bounds, counts_, sum_);
  }

 private:
  std::array<std::uint64_t, Bounds.size() + 1> counts_{};
  double sum_ = 0;
};

/// The models that have a label of their own, on all threads; what comes later is `other`.
class model_labels {
 public:
  explicit model_labels(std::size_t most = 200) : most_{most} {}
  /// `model` or `other`. A name that is not known yet becomes so if `may_add` and there is room.
  std::string_view label_of(std::string_view model, bool may_add);
  /// The same for the model that answered as `model` (a label); of such pairs there may be twice as many.
  std::string_view label_of_answer(std::string_view model, std::string_view answered, bool may_add);

 private:
  const std::size_t most_;
  std::mutex changing_;  // asked where a thread meets a label set for the first time
  std::set<std::string, std::less<>> known_;
  std::set<std::string, std::less<>> known_answers_;  // model, NUL, model that answered
};

/// How one request ended. Views need to live for the call; those marked static for ever.
struct request_facts {
  std::string_view route;      ///< static: the pattern of its path
  std::string_view operation;  ///< static: gen_ai.operation.name; empty: it is none of a model's
  std::string_view verdict;    ///< static
  bool complete = false;       ///< the verdict is that of a success
  unsigned status = 0;
  std::string_view key;             ///< the name of its key; empty: none
  std::string_view model;           ///< the id upstream knows it by
  std::string_view response_model;  ///< that answered, as upstream tells it; empty: it does not
  double seconds = 0;
  std::optional<double> first_token_seconds;  ///< of a stream
  std::optional<token_usage> usage;
  std::uint64_t bytes_in = 0;
  std::uint64_t bytes_out = 0;
  unsigned retries = 0;
};

/// gen_ai.operation.name of a route's path; empty: it speaks to no model.
std::string_view operation_of(std::string_view path);

class thread_metrics {
 public:
  explicit thread_metrics(std::shared_ptr<model_labels> models = std::make_shared<model_labels>())
      : models_{std::move(models)} {}

  void record(const request_facts& facts);
  /// Adds what another thread counted.
  void add(const thread_metrics& other);
  void write(prometheus_text& text) const;

  // Counted where it happens.
  std::uint64_t connections_accepted = 0;
  std::uint64_t upstream_resends = 0;  ///< requests sent again by themselves (client_options::on_resend)
  std::uint64_t connections_evicted = 0;
  std::uint64_t response_bytes_unsent = 0;  ///< set where a copy is made
  std::int64_t sessions = 0;
  std::int64_t streams_open = 0;
  metric_histogram<duration_bounds> queue_wait;
  metric_histogram<delay_bounds> mailbox_delay;
  metric_histogram<delay_bounds> cancel_time;
  double longest_turn = 0;  ///< seconds

 private:
  using request_key = std::tuple<std::string_view, std::string_view, unsigned>;  // route, verdict, status
  struct model_key {
    std::string model;
    std::string response_model;
    std::string key;
    std::string_view operation;
    std::string_view error;
    auto operator<=>(const model_key&) const = default;
  };
  /// The same without owning anything: for look-ups.
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
      // Operation and error are few: their sizes tell most of them apart.
      return hash(v.model) * 31 + hash(v.response_model) * 23 + hash(v.key) * 17 + v.operation.size() * 7 +
             v.error.size();
    }
  };
  struct model_equal {
    using is_transparent = void;
    bool operator()(const auto& a, const auto& b) const { return view(a) == view(b); }
  };
  struct model_counts {
    metric_histogram<duration_bounds> duration;
    metric_histogram<first_token_bounds> first_token;
    metric_histogram<per_token_bounds> per_token;
    metric_histogram<token_bounds> input_tokens;
    metric_histogram<token_bounds> output_tokens;
  };
  model_counts& counts_of(const request_facts& facts);
  void write_requests(prometheus_text& text) const;
  void write_models(prometheus_text& text) const;

  std::shared_ptr<model_labels> models_;
  std::map<request_key, std::uint64_t> requests_;
  std::unordered_map<model_key, model_counts, model_hash, model_equal> by_model_;
  std::uint64_t bytes_in_ = 0;
  std::uint64_t bytes_out_ = 0;
  std::uint64_t retries_ = 0;
};

/// process_* as every Prometheus client names them: CPU, RSS, descriptors, start.
void write_process_metrics(prometheus_text& text);

}  // namespace llm_proxy
