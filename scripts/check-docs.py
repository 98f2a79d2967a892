#!/usr/bin/env python3
"""Fails if a link of a document is broken, or if README.ru.md differs in structure from README.md.

    scripts/check-docs.py            checks the links of all documents, and that the translation has the same sections,
                                     code blocks, tables and links
    scripts/check-docs.py --stamp    also records that every section of README.ru.md matches the current README.md

Below each heading of README.ru.md is <!-- en:HASH -->, with the hash of the English text that it translates. If the
English text of a section has changed since, that is a warning (with --strict an error): translate the change, and then
run --stamp."""
import glob
import hashlib
import os
import re
import sys

DOCUMENTS = ["README.md", "README.ru.md", "CONTRIBUTING.md", *sorted(glob.glob("docs/*.md"))]
ENGLISH, RUSSIAN = "README.md", "README.ru.md"
HEADING = re.compile(r"^(#{1,6}) (.*)$")
LINK = re.compile(r"\[[^\]\[]*\]\(([^)\s]+)\)|<img src=\"([^\"]+)\"")
STAMP = re.compile(r"^<!-- en:(\w+) -->$")
GENERATED = re.compile(r"^<!-- \S+:(begin|end) -->$")


class Section:
    def __init__(self, level, title):
        self.level, self.title = level, title
        self.text, self.code, self.stamp = [], [], None

    def hash(self):
        return hashlib.sha256("\n".join([self.title, *self.text]).strip().encode()).hexdigest()[:8]

    def links(self):
        found = (a or b for line in self.text for a, b in LINK.findall(line.replace("`", "")))
        return sorted(link for link in found if not link.startswith("#") and link not in (ENGLISH, RUSSIAN))

    def outline(self):
        """Returns the properties that must be the same in a translation, one per line."""
        yield "heading of level %d" % self.level
        rows = [line.count("|") for line in self.text if line.startswith("|")]
        yield "table rows with so many bars: %s" % rows
        yield "list items: %d" % sum(1 for line in self.text if re.match(r"(- |\d+\. )", line))
        yield from ("link to " + link for link in self.links())
        yield from self.code


def read(name):
    """Returns the sections of a document. Their text is without code blocks, generated parts and stamps."""
    with open(name, encoding="utf-8") as file:
        lines = file.read().split("\n")
    sections, fence, generated = [Section(0, "")], None, False
    for line in lines:
        here = sections[-1]
        if fence is None and (mark := re.match(r"^\s*```", line)):
            fence = mark.group(0)
            here.code.append(line)
        elif fence is not None:
            here.code.append(line)
            fence = None if line == fence else fence
        elif marker := GENERATED.match(line):
            generated = marker.group(1) == "begin"
            here.code.append(line)
        elif generated:
            continue
        elif heading := HEADING.match(line):
            sections.append(Section(len(heading.group(1)), heading.group(2)))
        elif stamp := STAMP.match(line):
            here.stamp = stamp.group(1)
        else:
            here.text.append(line)
    return sections


def anchors(sections):
    """Returns the anchors that GitHub makes from the headings."""
    names = (re.sub(r"[^\w\- ]", "", section.title.lower()).replace(" ", "-") for section in sections)
    return set(names)


def broken_links(name):
    sections = read(name)
    with open(name, encoding="utf-8") as file:
        text = re.sub(r"^\s*```.*?^\s*```$", "", file.read(), flags=re.M | re.S)
    for found in LINK.findall(text):
        link = found[0] or found[1]
        if re.match(r"\w+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = os.path.normpath(os.path.join(os.path.dirname(name), path)) if path else name
        if not os.path.exists(target):
            yield f"{name}: {link}: there is no {target}"
        elif anchor and target.endswith(".md"):
            there = sections if target == name else read(target)
            if anchor not in anchors(there):
                yield f"{name}: {link}: {target} has no such heading"


def drift():
    """Returns the differences of structure, and the sections whose English text has changed."""
    english, russian = read(ENGLISH), read(RUSSIAN)
    faults, stale = [], []
    if len(english) != len(russian):
        faults.append(f"{RUSSIAN} has {len(russian) - 1} headings, {ENGLISH} {len(english) - 1}")
    for there, here in zip(english, russian):
        what = f"{RUSSIAN}, \"{here.title}\" (\"{there.title}\")"
        wanted, given = list(there.outline()), list(here.outline())
        if wanted != given:
            pair = next(((a, b) for a, b in zip(wanted, given) if a != b), None)
            a, b = pair or (wanted[len(given):] or [""], given[len(wanted):] or [""])
            faults.append(f"{what} differs from {ENGLISH}:\n  {ENGLISH}: {a}\n  {RUSSIAN}: {b}")
        elif there.level > 0 and here.stamp != there.hash():
            stale.append(f"{what}: the English text has changed since it was translated")
    return faults, stale


def stamp():
    english = iter(read(ENGLISH)[1:])
    out, fenced = [], False
    with open(RUSSIAN, encoding="utf-8") as file:
        lines = file.read().split("\n")
    for line in lines:
        if STAMP.match(line):
            continue
        out.append(line)
        fenced ^= bool(re.match(r"^\s*```", line))
        if not fenced and HEADING.match(line):
            out.append(f"<!-- en:{next(english).hash()} -->")
    with open(RUSSIAN, "w", encoding="utf-8") as file:
        file.write("\n".join(out))


def main():
    os.chdir(os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
    unknown = set(sys.argv[1:]) - {"--stamp", "--strict"}
    if unknown:
        sys.exit(f"check-docs: unknown argument {sorted(unknown)[0]!r} (known: --stamp, --strict)")
    faults = [fault for name in DOCUMENTS for fault in broken_links(name)]
    different, stale = drift()
    faults += different
    if "--stamp" in sys.argv and not different:
        stamp()
        stale = []
    if "--strict" in sys.argv:
        faults, stale = faults + stale, []
    for line in stale:
        print(f"check-docs: warning: {line}", file=sys.stderr)
    for line in faults:
        print(f"check-docs: {line}", file=sys.stderr)
    if not faults:
        print(f"check-docs: {len(DOCUMENTS)} documents, no fault")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
