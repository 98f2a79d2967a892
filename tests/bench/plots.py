"""Line plots as SVG text, for BENCHMARK.md. Three lines and two axes need no library."""

import html
import math
import os
import statistics

WIDTH, HEIGHT, LEFT, BOTTOM, TOP, RIGHT = 640, 360, 64, 48, 40, 20
COLOURS = ["#6b7280", "#2563eb", "#d97706", "#059669", "#db2777"]


def nice_step(span):
    """Returns a step of 1, 2 or 5 times a power of ten that divides `span` into at most six parts."""
    raw = span / 6 or 1
    power = 10 ** math.floor(math.log10(raw))
    return next(step * power for step in (1, 2, 5, 10) if step * power >= raw)


def svg(title, x_name, y_name, series, log_x=True):
    """`series`: {name: [(x, y), …]}. The y axis begins at 0."""
    xs = sorted({x for points in series.values() for x, _ in points})
    top = max(y for points in series.values() for _, y in points) or 1
    step = nice_step(top)
    top = math.ceil(top / step) * step

    def place_x(x):
        low, high, at = (math.log(xs[0]), math.log(xs[-1]), math.log(x)) if log_x else (xs[0], xs[-1], x)
        return LEFT + (at - low) / ((high - low) or 1) * (WIDTH - LEFT - RIGHT)

    def place_y(y):
        return HEIGHT - BOTTOM - y / top * (HEIGHT - BOTTOM - TOP)

    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="12">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>',
        f'<text x="{LEFT}" y="20" font-size="14" font-weight="bold" fill="#111827">{html.escape(title)}</text>',
        f'<text x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 8}" text-anchor="middle" fill="#374151">{html.escape(x_name)}</text>',
        f'<text x="14" y="{(TOP + HEIGHT - BOTTOM) / 2}" text-anchor="middle" fill="#374151"'
        f' transform="rotate(-90 14 {(TOP + HEIGHT - BOTTOM) / 2})">{html.escape(y_name)}</text>',
    ]
    for i in range(int(round(top / step)) + 1):
        y = place_y(i * step)
        out.append(f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}" stroke="#e5e7eb"/>')
        out.append(f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end" fill="#374151">{i * step:g}</text>')
    for x in xs:
        name = x if isinstance(x, str) else f"{x:,g}"
        out.append(f'<text x="{place_x(x):.1f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle" fill="#374151">{name}</text>')
    for index, (name, points) in enumerate(series.items()):
        colour = COLOURS[index % len(COLOURS)]
        line = " ".join(f"{place_x(x):.1f},{place_y(y):.1f}" for x, y in sorted(points))
        out.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="2"/>')
        out += [f'<circle cx="{place_x(x):.1f}" cy="{place_y(y):.1f}" r="3" fill="{colour}"/>' for x, y in points]
        out.append(f'<text x="{LEFT + 8 + index * 110}" y="36" fill="{colour}">● {html.escape(name)}</text>')
    return "\n".join(out + ["</svg>", ""])


def medians(runs, targets, of, read_x, read_y):
    """Returns {target: [(x, median y)]} for the runs that `of` selects."""
    series = {}
    for target in targets:
        by_x = {}
        for run in runs:
            if run["target"] == target and of(run):
                by_x.setdefault(read_x(run), []).append(read_y(run))
        if by_x:
            series[target] = [(x, statistics.median(ys)) for x, ys in sorted(by_x.items())]
    return series


def percentiles(runs, targets):
    series = {}
    for target in targets:
        of = [run["event_latency_us"] for run in runs if run["target"] == target and run["row"] == "stream20ms"]
        if of:
            series[target] = [(x, statistics.median(run[key] for run in of)) for x, key in
                              ((50, "p50"), (90, "p90"), (99, "p99"), (99.9, "p999"))]
    return series


def draw_all(runs, targets, folder, prefix=""):
    """Writes the plots for which the runs have points, in files whose names begin with `prefix`. Returns the lines of
    Markdown that show them."""
    if not folder:
        return []
    drawn = {
        "cpu_per_event": ("CPU per event, 10,000 events/s in all", "open streams", "µs per event", True,
                          medians(runs, targets, lambda run: run["row"].startswith("streams:") and run["delay_ms"] > 0,
                                  lambda run: run["connections"], lambda run: run["cpu_us"])),
        "memory": ("Memory, one event per second and stream", "open streams", "RSS in MiB", False,
                   medians(runs, targets, lambda run: run["scenario"] == "hold", lambda run: run["connections"],
                           lambda run: run["during"]["rss_kib"] / 1024)),
        "latency": ("Latency of an event, 500 streams at 20 ms", "percentile", "µs", False, percentiles(runs, targets)),
    }
    lines = []
    for name, (title, x_name, y_name, log_x, series) in drawn.items():
        if not any(len(points) > 2 for points in series.values()):
            continue
        with open(os.path.join(folder, prefix + name + ".svg"), "w", encoding="utf-8") as file:
            file.write(svg(title, x_name, y_name, series, log_x))
        lines.append(f"![{title}]({prefix}{name}.svg)")
    return lines
