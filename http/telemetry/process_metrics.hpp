// process_* as every Prometheus client names them: CPU, memory, descriptors, start.
#pragma once

#include "http/telemetry/prometheus_text.hpp"
#include "http/telemetry/text_steps.hpp"

namespace llm_proxy {

/// Adds the steps that write them; `text` outlives them. What cannot be read (without /proc, or without a
/// free descriptor) is left out: a 0 would be a lie.
void write_process_metrics(prometheus_text& text, text_steps& steps);

}  // namespace llm_proxy
