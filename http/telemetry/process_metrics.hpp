// The process_* metrics, with the names that all Prometheus clients use: CPU, memory, descriptors, start
// time.
#pragma once

#include "http/telemetry/prometheus_text.hpp"
#include "http/telemetry/text_steps.hpp"

namespace llm_proxy {

/// Adds the steps that write them; `text` must outlive the steps. A value that cannot be read (because there
/// is no /proc, or no free descriptor) is left out, because a 0 would be wrong.
void write_process_metrics(prometheus_text& text, text_steps& steps);

}  // namespace llm_proxy
