#!/usr/bin/env python3
"""Writes the SBOM (SPDX 2.3, JSON) of a built llm-proxy to stdout. It lists the Debian packages whose shared libraries
the program loads (from ldd), and those whose headers were compiled into it (from ninja's records), with version, source
and package URL from dpkg. A licence is NOASSERTION if Debian's copyright file isn't machine-readable.

    scripts/sbom.py BUILD_FOLDER VERSION COMMIT"""
import datetime
import hashlib
import json
import os
import re
import subprocess
import sys


def run(*argv, **more):
    return subprocess.run(argv, check=True, text=True, stdout=subprocess.PIPE, **more).stdout


def owners(files):
    """Returns the names of the packages that own these files, with the architecture if dpkg names it. Files that belong
    to no package are left out."""
    found = set()
    files = sorted(files)
    for start in range(0, len(files), 500):
        # The exit code is not checked: it is 1 if some files belong to no package, such as our own headers.
        out = subprocess.run(["dpkg-query", "-S", *files[start:start + 500]], text=True, stdout=subprocess.PIPE,
                             stderr=subprocess.DEVNULL).stdout
        for line in out.splitlines():
            if not line.startswith("diversion "):
                found.update(name.strip() for name in line.split(": ")[0].split(","))
    return found


def spellings(path):
    """Returns the paths under which dpkg may know a file, because with a merged /usr a file has two paths."""
    path = os.path.realpath(path)
    return {path, path.removeprefix("/usr")} if path.startswith("/usr/lib") else {path}


def loaded(binary):
    return {name for lib in re.findall(r"(/\S+) \(0x", run("ldd", binary)) for name in spellings(lib)}


def compiled_in(folder):
    headers, ours = set(), False
    for line in run("ninja", "-C", folder, "-t", "deps").splitlines():
        if not line.startswith(" "):
            ours = not line.startswith("tests/")
        elif ours and line.strip().startswith("/usr/"):
            headers.update(spellings(line.strip()))
    return headers


def licence(package):
    try:
        with open(f"/usr/share/doc/{package}/copyright", encoding="utf-8", errors="replace") as file:
            text = file.read()
    except OSError:
        return "NOASSERTION"
    if "copyright-format/1.0" not in text:
        return "NOASSERTION"
    # The licence of the first paragraph, which is that of `Files: *`.
    found = re.search(r"^License:\s*(\S+)\s*$", text, re.M)
    spdx = {"Expat": "MIT", "MIT": "MIT", "Apache-2.0": "Apache-2.0", "BSL-1.0": "BSL-1.0", "BSD-3-clause": "BSD-3-Clause",
            "BSD-2-clause": "BSD-2-Clause"}
    return spdx.get(found.group(1), "NOASSERTION") if found else "NOASSERTION"


def package(name, distro, how):
    fields = run("dpkg-query", "-W", "-f=${Package}\t${Version}\t${Architecture}\t${source:Package}\t${source:Version}\t${Homepage}",
                 name).split("\t")
    binary, version, arch, source, source_version, home = fields
    return {
        "SPDXID": "SPDXRef-" + re.sub(r"[^A-Za-z0-9.-]", "-", f"{binary}-{arch}"),
        "name": binary,
        "versionInfo": version,
        "supplier": "Organization: Debian",
        "downloadLocation": "NOASSERTION",
        "filesAnalyzed": False,
        "homepage": home or "NOASSERTION",
        "sourceInfo": f"built from the source package {source} {source_version}",
        "comment": how,
        "licenseConcluded": "NOASSERTION",
        "licenseDeclared": licence(binary),
        "copyrightText": "NOASSERTION",
        "externalRefs": [{"referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl",
                          "referenceLocator": f"pkg:deb/debian/{binary.replace('+', '%2B')}@{version.replace('+', '%2B').replace(':', '%3A')}"
                                              f"?arch={arch}&distro={distro}"}],
    }


def main():
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    folder, version, commit = sys.argv[1:]
    binary = os.path.join(folder, "llm-proxy")
    with open("/etc/os-release", encoding="utf-8") as file:
        release = dict(line.strip().split("=", 1) for line in file if "=" in line)
    distro = f'{release["ID"]}-{release["VERSION_ID"]}'.replace('"', "")
    libraries, headers = owners(loaded(binary)), owners(compiled_in(folder))
    packages = [package(name, distro, "shared library") for name in sorted(libraries)]
    packages += [package(name, distro, "headers compiled in") for name in sorted(headers - libraries)]
    with open(binary, "rb") as file:
        digest = hashlib.sha256(file.read()).hexdigest()
    epoch = int(os.environ.get("SOURCE_DATE_EPOCH") or datetime.datetime.now().timestamp())
    own = {"SPDXID": "SPDXRef-llm-proxy", "name": "llm-proxy", "versionInfo": version, "downloadLocation": "NOASSERTION",
           "filesAnalyzed": False, "sourceInfo": f"commit {commit}", "licenseConcluded": "MIT", "licenseDeclared": "MIT",
           "copyrightText": "NOASSERTION", "primaryPackagePurpose": "APPLICATION"}
    print(json.dumps({
        "spdxVersion": "SPDX-2.3",
        "dataLicense": "CC0-1.0",
        "SPDXID": "SPDXRef-DOCUMENT",
        "name": f"llm-proxy-{version}",
        "documentNamespace": f"https://spdx.org/spdxdocs/llm-proxy-{version}-{digest}",
        "creationInfo": {"created": datetime.datetime.fromtimestamp(epoch, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
                         "creators": ["Tool: llm-proxy-sbom"]},
        "packages": [own, *packages],
        "relationships": [{"spdxElementId": "SPDXRef-DOCUMENT", "relationshipType": "DESCRIBES", "relatedSpdxElement": own["SPDXID"]}] +
                         [{"spdxElementId": own["SPDXID"],
                           "relationshipType": "DYNAMIC_LINK" if p["comment"] == "shared library" else "DEPENDS_ON",
                           "relatedSpdxElement": p["SPDXID"]} for p in packages],
    }, indent=2))


if __name__ == "__main__":
    main()
