#!/usr/bin/env python3
"""Fails if a file includes a header that its room must not use, or if a folder has no row here or in CONTRIBUTING.md.

Each folder of sources is a room. A room may include itself, the rooms of its row, and CAF if the row says so. All other
libraries may be used everywhere. A row may name only rooms of rows above it, which is checked too, so there are no
cycles. Tests may include everything.
"""
import os
import re
import sys

# The log may be used in all rooms of actors: every request ends with a line of the access log, and the number of lost
# lines is a metric.
LOG = "config/access_log.hpp config/log_losses.hpp config/log_safe.hpp config/request_steps.hpp"

# A name with a dot is a single header, and `caf` is the actor library.
ROOMS = [
    # room               what it may include besides itself
    ("http/text",        ""),
    ("http/system",      ""),
    ("http/json",        "http/text"),
    ("http/wire",        "http/text"),
    ("config",           "http/text http/system/regular_file.hpp http/wire/never_forwarded.hpp "
                         "http/wire/origin.hpp"),
    ("http/loop",        "http/text http/system http/wire"),
    ("http/dialect",     "http/text http/json http/wire"),
    ("http/telemetry",   "http/text http/dialect http/json http/system http/wire"),
    ("http/keys",        "http/text http/dialect http/telemetry http/json http/system http/wire"),
    ("http/tls",         "http/text http/keys http/loop http/system"),
    ("http/request",     "http/text http/keys http/dialect http/json http/wire"),
    ("http/answer",      "http/text http/dialect http/json http/wire"),
    ("http/downstream",  "http/text http/loop http/system http/tls http/wire"),
    ("http/upstream",    "http/text http/loop http/system http/tls http/wire"),
    ("http/web",         "http/wire"),
    ("http/websocket",   "http/text http/answer http/dialect http/downstream http/json http/loop http/tls http/wire"),
    ("actors/messages",  "caf http/keys http/dialect http/loop http/system http/tls http/wire"),
    ("actors/runtime",   f"caf {LOG} http/loop http/system"),
    ("actors/access",    f"caf {LOG} actors/messages actors/runtime http/keys http/loop http/wire"),
    ("actors/models",    f"caf {LOG} actors/messages actors/runtime http/dialect http/json http/keys "
                         "http/request http/wire"),
    ("actors/telemetry", f"caf {LOG} actors/access actors/messages actors/runtime http/telemetry http/json http/loop "
                         "http/upstream http/wire"),
    ("actors/session",   f"caf http/text {LOG} actors/models actors/telemetry actors/messages actors/runtime http/answer "
                         "http/dialect http/downstream http/json http/keys http/request http/system http/telemetry "
                         "http/web http/websocket http/wire"),
    ("adapters",         f"caf {LOG} actors/messages actors/runtime http/telemetry"),
    ("adapters/fake",    f"caf {LOG} actors/messages actors/runtime http/answer http/dialect http/json http/wire"),
    ("adapters/litellm", f"caf http/text {LOG} actors/messages actors/runtime http/answer http/dialect http/json http/telemetry "
                         "http/upstream http/wire"),
    ("actors/service",   "caf config adapters adapters/fake adapters/litellm actors/access actors/messages "
                         "actors/models actors/runtime actors/session actors/telemetry http/downstream http/keys "
                         "http/request http/system http/telemetry http/tls http/upstream http/wire"),
    ("actors/cli",       "http/text config actors/service http/answer http/dialect http/json http/keys http/system http/upstream "
                         "http/wire"),
    ("actors",           "config actors/service actors/cli"),
]

OURS = ("http/", "actors/", "adapters/", "config/", "tests/", "caf/")
INCLUDE = re.compile(r'^\s*#\s*include\s*[<"]([^">]+)[">]')


def breaches(file, room, may):
    with open(file, encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            match = INCLUDE.match(line)
            if not match:
                continue
            # The path may also be relative to the file that includes it.
            beside = os.path.normpath(os.path.join(room, match.group(1)))
            included = beside if os.path.isfile(beside) else os.path.normpath(match.group(1))
            if not included.startswith(OURS):
                continue
            folder = "caf" if included.startswith("caf/") else os.path.dirname(included)
            if folder != room and folder not in may and included not in may:
                yield f"{file}:{number}: {room} must not include {included} (may: {' '.join(may) or 'nothing else'})"


def main():
    os.chdir(os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
    found, count, above = [], 0, {"caf"}
    rows = {room: may.split() for room, may in ROOMS}
    for room, may in rows.items():
        found += [f"{room}: {each} is no row above it" for each in may if each not in above and "." not in each]
        above.add(room)
    with open("CONTRIBUTING.md", encoding="utf-8") as text:
        told = text.read()
    for top in ("http", "actors", "adapters", "config"):
        for room, _, names in os.walk(top):
            sources = [name for name in sorted(names) if name.endswith((".hpp", ".cpp"))]
            if not sources:
                continue
            if room not in rows:
                found.append(f"{room}: has no row in scripts/check-includes.py")
                continue
            if f"`{room}/`" not in told:
                found.append(f"{room}: has no row in CONTRIBUTING.md")
            for name in sources:
                count += 1
                found += breaches(os.path.join(room, name), room, rows[room])
    print("\n".join(found) or f"check-includes: {count} files in {len(rows)} rooms, no breach",
          file=sys.stderr if found else sys.stdout)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
