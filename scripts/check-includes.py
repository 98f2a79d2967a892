#!/usr/bin/env python3
"""Fails when a file includes what its place in the architecture forbids (style.md section 1, "Includes point one way").

Of the rules below the first whose pattern fits the file counts. An include of ours, or of CAF, must fit one of the
patterns to its right; other libraries and the standard library are free. Tests may include everything.
"""
import fnmatch
import os
import re
import sys

# Every request ends in one line of the access log; how many lines were lost is a metric.
LOG = "config/access_log.hpp config/log_losses.hpp config/log_safe.hpp config/request_steps.hpp"

RULES = [
    # files                  may include
    ("config/*",             "config/* http/never_forwarded.hpp http/regular_file.hpp"),
    ("http/*",               "http/*"),
    ("actors/*messages.*",   "actors/*messages.hpp actors/admission_options.hpp actors/handed_over_socket.hpp actors/upstream_table.hpp http/* caf/*"),
    ("actors/upstream_table.*", "actors/upstream_table.hpp http/*"),
    ("actors/main.cpp",      "*"),
    ("actors/proxy.*",       "*"),
    ("actors/proxy_options.*", "*"),
    ("actors/proxy_tls.*",   "*"),
    ("actors/proxy_traces.*", "*"),
    ("actors/cli/*", "*"),
    ("actors/configuration.*", "*"),
    ("actors/serve.*", "*"),
    ("actors/*",             f"actors/* http/* caf/* {LOG}"),
    ("adapters/*",           f"adapters/* actors/messages.hpp actors/pinned.hpp actors/io_worker.hpp actors/upstream_table.hpp http/* caf/* {LOG}"),
]

CHECKED = ("http/", "actors/", "adapters/", "config/", "tests/", "caf/")
INCLUDE = re.compile(r'^\s*#\s*include\s*[<"]([^">]+)[">]')


def named_from_root(included, file):
    """The include as a path from the root, also when it is written relative to its file."""
    beside = os.path.normpath(os.path.join(os.path.dirname(file), included))
    return beside if os.path.isfile(beside) else os.path.normpath(included)


def breaches(file, allowed):
    with open(file, encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            match = INCLUDE.match(line)
            if not match:
                continue
            included = named_from_root(match.group(1), file)
            if included.startswith(CHECKED) and not any(fnmatch.fnmatchcase(included, a) for a in allowed):
                yield f"{file}:{number}: must not include {included} (may: {' '.join(allowed)})"


def main():
    os.chdir(os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
    files = [os.path.join(folder, name)
             for top in ("http", "actors", "adapters", "config")
             for folder, _, names in os.walk(top)
             for name in sorted(names) if name.endswith((".hpp", ".cpp"))]
    found = []
    for file in files:
        allowed = next(may for pattern, may in RULES if fnmatch.fnmatchcase(file, pattern)).split()
        found += breaches(file, allowed)
    print("\n".join(found) or f"check-includes: {len(files)} files, no breach", file=sys.stderr if found else sys.stdout)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
