#!/usr/bin/env python3
"""Changes the links of installed documents so that they work where they are installed. CMake runs it
(config/package.cmake).

    scripts/installed-docs.py DIRECTORY

DIRECTORY has README.md, docs/ and examples/ (the files of config/ that operators use). A link into config/ or to another
installed file is changed to lead to that file. A link to a file that is not installed (sources, tests) is replaced by its
text. Fails if a link is still broken after that."""
import os
import re
import sys

CODE = re.compile(r"(^```.*?^```$)", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\[([^\]\[]*)\]\(([^)\s#]+)(#[^)\s]*)?\)")
# Where a path of the project is installed, if its name changes.
INSTALLED_AS = {".env.example": "env.example"}


def installed_path(path):
    if path in INSTALLED_AS:
        return INSTALLED_AS[path]
    return re.sub(r"^config/", "examples/", path)


def fitted(text, document, root):
    """Returns `text` with its links changed. `document` is the path of the document below `root`."""
    here = os.path.dirname(document)

    def fit(link):
        label, target, anchor = link.group(1), link.group(2), link.group(3) or ""
        if re.match(r"[a-z]+:", target):
            return link.group(0)
        path = installed_path(os.path.normpath(os.path.join(here, target)))
        if not os.path.exists(os.path.join(root, path)):
            return label
        label = re.sub(r"^config/", "examples/", label)
        return "[%s](%s%s)" % (label, os.path.relpath(path, here or "."), anchor)

    return "".join(part if part.startswith("```") else LINK.sub(fit, part) for part in CODE.split(text))


def dead_links(text, document, root):
    here = os.path.join(root, os.path.dirname(document))
    prose = CODE.sub("", text)
    targets = [target for _, target, _ in LINK.findall(prose)] + re.findall(r'<img src="([^"]+)"', prose)
    return [t for t in targets if not re.match(r"[a-z]+:", t) and not os.path.exists(os.path.join(here, t))]


def main(root):
    dead = 0
    for folder, _, names in os.walk(root):
        for name in names:
            if not name.endswith(".md"):
                continue
            path = os.path.join(folder, name)
            document = os.path.relpath(path, root)
            with open(path, encoding="utf-8") as file:
                text = fitted(file.read(), document, root)
            with open(path, "w", encoding="utf-8") as file:
                file.write(text)
            for link in dead_links(text, document, root):
                print("installed-docs: %s points to %s, which is not installed" % (document, link), file=sys.stderr)
                dead += 1
    return 1 if dead else 0


if __name__ == "__main__":
    if len(sys.argv) != 2 or not os.path.isdir(sys.argv[1]):
        sys.exit("installed-docs: give it the directory of the installed documents")
    sys.exit(main(sys.argv[1]))
