#!/usr/bin/env python3
"""Turns the runs of scripts/bench.sh (one JSON object of bench_load per line) into a Markdown table.

--line FILE shows one run on one line. --results FILE … prints the table and writes it with the date and the machine.
The exit code is 1 if any answer of any run was wrong.
"""

import argparse
import datetime
import json
import os
import platform
import statistics
import subprocess
import sys

import plots


def at(*path):
    def read(run):
        for key in path:
            run = run[key]
        return run

    return read


def grown_fds(run):
    return run["after"]["fds"] - run["before"]["fds"]


def rss_back(run):
    return run["after"]["rss_kib"] / max(1, run["before"]["rss_kib"])


def mib(*path):
    return lambda run: at(*path)(run) / 1024


# Each row: its name, how to read it from a run, the goal, and how to compare. "ratio" divides by the first target,
# "added" subtracts the value of `direct` first and then divides, and "value" compares nothing.
PER_REQUEST = [
    ("CPU µs per request", at("cpu_us"), "≤ 1.0 ×", "ratio"),
    ("CPU / (load + upstream)", at("cpu_share"), "≤ 1.0 ×", "ratio"),
    ("requests/s", at("answers_per_s"), "≥ 1.0 ×", "ratio"),
    ("latency p99 µs", at("latency_us", "p99"), "", "ratio"),
]
PER_EVENT = [
    ("CPU µs per event", at("cpu_us"), "≤ 1.0 ×", "ratio"),
    ("CPU / (load + upstream)", at("cpu_share"), "≤ 1.0 ×", "ratio"),
]
PACED = PER_EVENT + [
    ("event latency p50 µs", at("event_latency_us", "p50"), "", "ratio"),
    ("event latency p99 µs", at("event_latency_us", "p99"), "≤ 1.0 ×", "ratio"),
    ("first event p99 µs", at("first_event_us", "p99"), "≤ 1.0 ×", "ratio"),
]
UNPACED = PER_EVENT + [
    ("events/s", at("events_per_s"), "≥ 1.0 ×", "ratio"),
    ("events per read of the client", at("events_per_read"), "", "value"),
]
HOLD = [
    ("KiB per open stream", at("kib_per_stream"), "≤ 4", "ratio"),
    ("RSS idle MiB", mib("before", "rss_kib"), "≤ 12", "ratio"),
    ("RSS after they closed / idle", rss_back, "≤ 1.2", "value"),
    ("descriptors left over", grown_fds, "0", "value"),
    ("events later than 100 ms", at("stalls_over_100ms"), "0", "value"),
    ("CPU µs per event", at("cpu_us"), "", "ratio"),
]
LATENCY = [
    ("added latency p50 µs", at("latency_us", "p50"), "≤ 1.2 ×", "added"),
    ("added latency p99 µs", at("latency_us", "p99"), "≤ 1.2 ×", "added"),
]
FIRST_EVENT = [
    ("added to first event p50 µs", at("first_event_us", "p50"), "≤ 1.2 ×", "added"),
    ("added to first event p99 µs", at("first_event_us", "p99"), "≤ 1.0 ×", "added"),
]
OF_THE_SERVICE = ("CPU", "KiB", "RSS", "descriptors")  # rows about the measured program, which `direct` lacks
TITLES = {
    "requests": "JSON requests, 64 connections",
    "stream2ms": "64 streams at 2 ms",
    "stream20ms": "500 streams at 20 ms",
    "unpaced": "64 streams unpaced",
    "memory": "2,000 streams at 1 event/s",
    "memory9500": "9,500 streams at 1 event/s",
    "memory-ended": "2,000 streams that end",
    "latency": "1 connection",
    "first-event": "1 stream",
}


def rows_for(row, run):
    if row == "latency":
        return LATENCY
    if row == "first-event":
        return FIRST_EVENT
    if run["scenario"] == "requests":
        return PER_REQUEST
    if run["scenario"] == "hold":
        return HOLD
    return PACED if run["delay_ms"] else UNPACED


def number(x):
    if abs(x) >= 1000:
        return f"{x:,.0f}"
    if abs(x) >= 100:
        return f"{x:.0f}"
    if abs(x) >= 10:
        return f"{x:.1f}"
    return f"{x:.2f}".rstrip("0").rstrip(".") or "0"


def spread(values):
    if not values:
        return "–"
    low, middle, high = min(values), statistics.median(values), max(values)
    if low == high:
        return number(middle)
    return f"{number(middle)} ({number(low)}–{number(high)})"


def table(runs, targets):
    base, others = targets[0], targets[1:]
    head = ["what", base]
    for other in others:
        head += [other, "ratio (range)" if len(others) == 1 else f"{other} / {base}"]
    lines = ["| " + " | ".join(head + ["goal"]) + " |", "|" + "---|" * (len(head) + 1)]
    for row in dict.fromkeys(run["row"] for run in runs):
        of_row = [run for run in runs if run["row"] == row]
        by = {(run["target"], run["round"]): run for run in of_row}
        rounds = sorted({run["round"] for run in of_row}, key=int)
        for name, read, goal, how in rows_for(row, of_row[0]):

            def value(target, turn):
                run = by.get((target, turn))
                if run is None:
                    return None
                if how == "added":
                    direct = by.get(("direct", turn))
                    return None if direct is None or target == "direct" else read(run) - read(direct)
                if target == "direct" and name.startswith(OF_THE_SERVICE):
                    return None
                return read(run)

            def values(target):
                return [v for v in (value(target, turn) for turn in rounds) if v is not None]

            cells = [f"{TITLES.get(row, row)}: {name}", spread(values(base))]
            for other in others:
                ratios = []
                for turn in rounds:
                    a, b = value(base, turn), value(other, turn)
                    if a is not None and b is not None and a > 0:
                        ratios.append(b / a)
                cells += [spread(values(other)), spread(ratios) if how != "value" else "–"]
            lines.append("| " + " | ".join(cells + [goal]) + " |")
    return lines


def growth(runs, targets):
    """Shows how much the cost of one event or request changes over a series of loads: the highest median divided by the
    lowest. The goal is 1.2."""
    series = {
        "CPU per event, by open streams (10,000 events/s in all)": (
            lambda run: run["row"].startswith("streams:") and run["delay_ms"] > 0, at("connections")),
        "CPU per request, by connections": (lambda run: run["row"].startswith("requests:"), at("connections")),
        "CPU per event, by events of a stream (unpaced)": (
            lambda run: run["row"].startswith("streams:") and not run["delay_ms"], at("events_per_stream")),
    }
    lines = []
    for name, (of, read_x) in series.items():
        for target, points in plots.medians(runs, targets, of, read_x, at("cpu_us")).items():
            if len(points) < 3:
                continue
            costs = [cost for _, cost in points]
            steps = ", ".join(f"{x:,}: {number(cost)}" for x, cost in points)
            lines.append(f"- {name}, {target}: highest / lowest {max(costs) / min(costs):.2f} (µs at {steps})")
    return lines


def faults(runs):
    lines = []
    for run in runs:
        where = f"{run['row']}, {run['target']}, round {run['round']}"
        if run["errors"]:
            lines.append(f"- WRONG: {where}: {run['errors']} wrong answers {json.dumps(run['errors_by_kind'])}"
                         + "".join(f"\n      {sample}" for sample in run["samples"][:1]))
    return lines


def remarks(runs):
    lines = []
    for run in runs:
        where = f"{run['row']}, {run['target']}, round {run['round']}"
        if 0 < run.get("pace", 1) < 0.97:
            lines.append(f"- {where}: only {run['pace']:.0%} of the events came in time: overloaded, CPU per event is too kind")
        if run["load_cores"] > 0.9 or run["upstream_cores"] > 0.9:
            lines.append(f"- {where}: a helper was at its limit (load {run['load_cores']:.2f}, upstream {run['upstream_cores']:.2f} cores)")
    return lines


def machine():
    fields = {}
    try:
        for line in subprocess.run(["lscpu"], capture_output=True, text=True, timeout=10, check=False).stdout.splitlines():
            name, _, value = line.partition(":")
            fields.setdefault(name.strip(), value.strip())
    except OSError:
        pass
    return f"{fields.get('Model name', platform.processor())}, {os.cpu_count()} cores, Linux {platform.release()}"


def one_line(run):
    parts = [f"{run['row']:<12} {run['target']:<12} round {run['round']}: {run['cpu_us']:7.2f} µs CPU",
             f"{run['cpu_share']:.3f} of load + upstream ({run['load_cpu_us']:.2f} + {run['upstream_cpu_us']:.2f})"]
    if run["scenario"] == "requests":
        parts.append(f"{run['answers_per_s']:,.0f}/s, p50 {run['latency_us']['p50']:.0f}, p99 {run['latency_us']['p99']:.0f} µs")
    else:
        parts.append(f"{run['events_per_s']:,.0f} events/s, late p50 {run['event_latency_us']['p50']:.0f},"
                     f" p99 {run['event_latency_us']['p99']:.0f} µs")
    if run["scenario"] == "hold":
        parts.append(f"{run['kib_per_stream']:.2f} KiB/stream, fds {run['before']['fds']}→{run['during']['fds']}→{run['after']['fds']}")
    parts.append(f"others {run['other_cores']:.2f} cores")
    if run["errors"]:
        parts.append(f"WRONG {json.dumps(run['errors_by_kind'])}")
    return ", ".join(parts)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--line")
    parser.add_argument("--results")
    parser.add_argument("--targets", default="nginx llm-proxy")
    parser.add_argument("--versions")
    parser.add_argument("--rounds", default="?")
    parser.add_argument("--duration", default="?")
    parser.add_argument("--threads", default="1")
    parser.add_argument("--write")
    parser.add_argument("--plots", help="folder for the plots of the runs; each is named in the file of --write")
    parser.add_argument("--plots-prefix", default="", help="what the names of the plots begin with")
    options = parser.parse_args()
    with open(options.line or options.results, encoding="utf-8") as file:
        runs = [json.loads(line) for line in file if line.strip()]
    if options.line:
        for run in runs:
            print(one_line(run))
        return 0
    if not runs:
        print("no runs", file=sys.stderr)
        return 1
    lines = table(runs, options.targets.split())
    wrong = faults(runs)
    notes = wrong + remarks(runs)
    answers = sum(run["all_answers"] for run in runs)
    events = sum(run["all_events"] for run in runs)
    others = [run["other_cores"] + run["stolen_cores"] for run in runs]
    if statistics.median(others) > 0.2:
        notes.append("- The machine was not quiet: latencies and rates mean little, CPU / (load + upstream) is the steadiest row.")
    print("\n".join(lines + [""] + notes))
    if options.write:
        versions = []
        if options.versions:
            with open(options.versions, encoding="utf-8") as file:
                versions = [f"- {line.rstrip()}" for line in file]
        text = [
            "# Benchmark",
            "",
            "Written by `scripts/bench.sh`; its first lines say how to run and read it.",
            "",
            f"- date: {datetime.datetime.now(datetime.timezone.utc):%Y-%m-%d %H:%M} UTC",
            f"- machine: {machine()}",
            *versions,
            f"- {options.rounds} interleaved rounds of {options.duration} s, {options.threads} thread(s) or worker(s);"
            " median (min–max); ratios are taken round by round",
            f"- {answers:,} answers and {events:,} events checked byte for byte, {sum(r['errors'] for r in runs)} wrong",
            f"- other processes of the machine (and its host) took {spread(others)} cores meanwhile",
            "",
            *lines,
            "",
            *growth(runs, options.targets.split()),
            "",
            *notes,
            "",
            *plots.draw_all(runs, options.targets.split(), options.plots, options.plots_prefix),
        ]
        with open(options.write, "w", encoding="utf-8") as file:
            file.write("\n".join(text).rstrip() + "\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
