#include "http/wire/trace_context.hpp"

#include "support/catch.hpp"

#include <set>
#include <string>

namespace llm_proxy {

namespace {

const std::string trace = "0af7651916cd43dd8448eb211c80319c";
const std::string span = "b7ad6b7169203331";
const std::string valid = "00-" + trace + "-" + span + "-01";

header_list headers_of(const std::string& traceparent) {
  header_list headers;
  headers.add("traceparent", traceparent);
  return headers;
}

}  // namespace

TEST_CASE("traceparent: it is read and written", "[unit][trace_context]") {
  const auto read = parse_traceparent(valid);
  REQUIRE(read);
  CHECK(read->trace_id() == trace);
  CHECK(read->span_id() == span);
  CHECK(read->sampled);
  CHECK(format_traceparent(*read) == valid);
  const auto unsampled = parse_traceparent("00-" + trace + "-" + span + "-00");
  REQUIRE(unsampled);
  CHECK_FALSE(unsampled->sampled);
}

TEST_CASE("traceparent: only the sampled flag is read, and only that one is sent on",
          "[unit][trace_context]") {
  for (const auto& [flags, sampled] : {std::pair<std::string, bool>{"03", true},
                                       {"02", false},
                                       {"ff", true},
                                       {"fe", false},
                                       {"0b", true},
                                       {"a0", false}}) {
    INFO(flags);
    const auto read = parse_traceparent("00-" + trace + "-" + span + "-" + flags);
    REQUIRE(read);
    CHECK(read->sampled == sampled);
    CHECK(format_traceparent(*read).substr(53) == (sampled ? "01" : "00"));
  }
}

TEST_CASE("traceparent: a later version may have more after a dash", "[unit][trace_context]") {
  const auto later = "cc-" + trace + "-" + span + "-01";
  for (const auto& value : {later, later + "-", later + "-what-the-future-will-be-like"}) {
    INFO(value);
    const auto read = parse_traceparent(value);
    REQUIRE(read);
    CHECK(format_traceparent(*read) == valid);
  }
  CHECK_FALSE(parse_traceparent(later + ".what"));
  CHECK_FALSE(parse_traceparent(later + "1"));
}

TEST_CASE("traceparent: a value that the specification calls invalid is refused", "[unit][trace_context]") {
  const std::string zeros(32, '0');
  for (const auto& value : {
           std::string{},
           std::string{"00"},
           std::string{"00-1-2-01"},
           "ff-" + trace + "-" + span + "-01",                     // forbidden version
           "0-" + trace + "-" + span + "-01",                      // short version
           "0g-" + trace + "-" + span + "-01",                     // not hexadecimal
           "0G-" + trace + "-" + span + "-01",                     //
           "00-" + zeros + "-" + span + "-01",                     // zero trace id
           "00-" + trace + "-0000000000000000-01",                 // zero span id
           "00-0AF7651916CD43DD8448EB211C80319C-" + span + "-01",  // upper case
           "00-" + trace + "-B7AD6B7169203331-01",                 //
           "00-" + trace.substr(1) + "-" + span + "-01",           // short trace id
           "00-" + trace + "0-" + span + "-01",                    // long trace id
           "00-" + trace + "-" + span.substr(1) + "-01",           // short span id
           "00-" + trace + "-" + span + "0-01",                    //
           "00-" + trace + "-" + span + "-1",                      // short flags
           "00-" + trace + "-" + span + "-0g",                     //
           "00-" + trace + "-" + span + "-0A",                     //
           valid + "-",                                            // more than version 00 has
           valid + "-extra",                                       //
           valid + "1",                                            //
           "00_" + trace + "-" + span + "-01",                     // wrong delimiters
           "00-" + trace + "_" + span + "-01",                     //
           "00-" + trace + "-" + span + "_01",                     //
           valid.substr(0, 54) + " ",                              //
       }) {
    INFO(value);
    CHECK_FALSE(parse_traceparent(value));
  }
}

TEST_CASE("trace context: a valid parent is continued, under a span of our own", "[unit][trace_context]") {
  const auto begun = begin_span(headers_of(valid), {});
  REQUIRE(begun.parent);
  CHECK(begun.parent->span_id() == span);
  CHECK(begun.own.trace_id() == trace);
  CHECK(begun.own.span_id() != span);
  CHECK(parse_traceparent(format_traceparent(begun.own)));
}

TEST_CASE("trace context: without a usable parent a new trace begins", "[unit][trace_context]") {
  auto two = headers_of(valid);
  two.add("Traceparent", valid);
  for (const auto& headers : {header_list{}, headers_of("00-1-2-01"), two}) {
    const auto begun = begin_span(headers, {});
    CHECK_FALSE(begun.parent);
    CHECK(begun.own.trace_id() != trace);
    CHECK(begun.own.sampled);
    CHECK(parse_traceparent(format_traceparent(begun.own)));
  }
  std::set<std::string> ids;
  for (int i = 0; i < 1000; ++i) ids.insert(format_traceparent(begin_span({}, {}).own));
  CHECK(ids.size() == 1000);
}

TEST_CASE("trace sampler: the root's choice counts if there is no parent, or if parents are ignored",
          "[unit][trace_context]") {
  using root = trace_sampler::root;
  auto parent = *parse_traceparent(valid);
  for (const bool flag : {true, false}) {
    parent.sampled = flag;
    CHECK(trace_sampler{root::always_on, true, 1}.samples(&parent, trace) == flag);
    CHECK(trace_sampler{root::always_off, true, 1}.samples(&parent, trace) == flag);
    CHECK(trace_sampler{root::ratio, true, 0}.samples(&parent, trace) == flag);
    CHECK(trace_sampler{root::always_on, false, 1}.samples(&parent, trace));
    CHECK_FALSE(trace_sampler{root::always_off, false, 1}.samples(&parent, trace));
    CHECK_FALSE(trace_sampler{root::ratio, false, 0}.samples(&parent, trace));
  }
  CHECK(trace_sampler{root::always_on, true, 1}.samples(nullptr, trace));
  CHECK_FALSE(trace_sampler{root::always_off, true, 1}.samples(nullptr, trace));
}

TEST_CASE("trace sampler: a ratio keeps that share of the ids, and always the same ones",
          "[unit][trace_context]") {
  const trace_sampler none{trace_sampler::root::ratio, false, 0};
  const trace_sampler tenth{trace_sampler::root::ratio, false, 0.1};
  const trace_sampler half{trace_sampler::root::ratio, false, 0.5};
  const trace_sampler all{trace_sampler::root::ratio, false, 1};
  // The decision uses the upper 63 of the last 64 bits, like OpenTelemetry's SDKs.
  const std::string head(16, 'f');
  CHECK(half.samples(nullptr, head + "7fffffffffffffff"));
  CHECK_FALSE(half.samples(nullptr, head + "8000000000000000"));
  CHECK(all.samples(nullptr, head + "ffffffffffffffff"));
  CHECK_FALSE(none.samples(nullptr, head + "0000000000000001"));
  int kept = 0;
  for (int i = 0; i < 10'000; ++i) {
    const auto id = std::string{begin_span({}, all).own.trace_id()};
    kept += tenth.samples(nullptr, id) ? 1 : 0;
    if (tenth.samples(nullptr, id)) CHECK(half.samples(nullptr, id));
  }
  CHECK(kept > 800);
  CHECK(kept < 1200);
}

}  // namespace llm_proxy
