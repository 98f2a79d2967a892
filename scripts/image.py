#!/usr/bin/env python3
"""Executes the Dockerfile without a container engine, stage by stage in fresh Debian systems below build/roots. Then it
tests the last stage as an engine would run it: without a key, with a key, its health check, and its end on SIGTERM.

Needs root and debootstrap (scripts/debian-root.sh), and takes some minutes, because it compiles. It knows only the
instructions that the Dockerfile uses, and fails on any other. In place of a base image it uses a system that debootstrap
makes from the same distribution."""
import fnmatch
import json
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time

HERE = os.path.realpath(os.path.join(os.path.dirname(__file__), ".."))
ROOTS = os.path.join(HERE, "build/roots")
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def say(text):
    print(f"image: {text}", flush=True)


def check(what, holds, detail=""):
    if not holds:
        sys.exit(f"image: FAILED: {what} {detail}")
    say(f"ok: {what}")


def instructions():
    with open(os.path.join(HERE, "Dockerfile"), encoding="utf-8") as file:
        lines = [line for line in file.read().splitlines() if not line.startswith("#")]
    for line in "\n".join(lines).replace("\\\n", " ").splitlines():
        if line.strip():
            name, _, rest = line.strip().partition(" ")
            yield name.upper(), rest.strip()


def context():
    """Returns the files that .dockerignore does not exclude. The last pattern that matches a file decides."""
    with open(os.path.join(HERE, ".dockerignore"), encoding="utf-8") as file:
        rules = [line.strip() for line in file if line.strip() and not line.startswith("#")]

    def kept(path):
        ignored = False
        parts = path.split("/")
        for rule in rules:
            pattern = rule.lstrip("!").lstrip("/")
            heads = ["/".join(parts[:n + 1]) for n in range(len(parts))]
            fits = any(fnmatch.fnmatchcase(head, pattern) for head in heads if "/" not in head or "/" in pattern)
            if pattern.startswith("**/"):
                fits = any(fnmatch.fnmatchcase(part, pattern[3:]) for part in parts)
            if fits:
                ignored = not rule.startswith("!")
        return not ignored

    tracked = subprocess.run(["git", "ls-files", "-co", "--exclude-standard"], cwd=HERE, check=True, text=True,
                             stdout=subprocess.PIPE).stdout.splitlines()
    return [path for path in tracked if kept(path) and os.path.isfile(os.path.join(HERE, path))]


class Stage:
    def __init__(self, base, name):
        self.name = name
        self.root = os.path.join(ROOTS, "image-" + name)
        self.env, self.workdir, self.user, self.health, self.entry = {}, "/", None, None, None
        codename = subprocess.run(["sh", "-c", ". /etc/os-release; echo $VERSION_ID"], check=True, text=True,
                                  stdout=subprocess.PIPE).stdout.strip()
        check(f"this machine is of the distribution of {base}", base == f"debian:{codename}-slim")
        shutil.rmtree(self.root, ignore_errors=True)
        subprocess.run(["bash", "-ec", f". scripts/debian-root.sh; new_root {shlex.quote(self.root)}"], cwd=HERE, check=True)
        # An engine provides these devices in every container.
        for node in ("null", "zero", "urandom"):
            if not os.path.exists(f"{self.root}/dev/{node}"):
                sys.exit(f"image: no /dev/{node} in {self.root}")

    def command(self, argv, more=None):
        """Returns the command line that runs `argv` as the stage's user, in its folder and with its environment."""
        argv = ["sh", "-c", f'cd {shlex.quote(self.workdir)} && exec "$@"', "sh", *argv]
        if self.user:
            uid, gid = self.user.split(":")
            argv = ["setpriv", f"--reuid={uid}", f"--regid={gid}", "--clear-groups", *argv]
        env = {"PATH": PATH, **self.env, **(more or {})}
        return ["chroot", self.root, "/usr/bin/env", "-i", *(f"{k}={v}" for k, v in env.items()), *argv]

    def run(self, shell, args):
        started = time.monotonic()
        env = {"HOME": "/root", "DEBIAN_FRONTEND": "noninteractive", **args}
        log = os.path.join(ROOTS, f"image-{self.name}.log")
        with open(log, "ab") as out:
            code = subprocess.run(self.command(["/bin/sh", "-c", shell], env), stdin=subprocess.DEVNULL, stdout=out,
                                  stderr=subprocess.STDOUT).returncode
        if code:
            subprocess.run(["tail", "-n", "30", log])
        check(f"RUN {shell[:70]} ({time.monotonic() - started:.0f} s)", code == 0, f"exit code {code}, log {log}")

    def target(self, path):
        return os.path.join(self.root, os.path.join(self.workdir, path).lstrip("/"))


def build():
    stages, args, stage = {}, {}, None
    files = context()
    check("the build context has the sources and neither builds nor secrets", "actors/main.cpp" in files and
          not [f for f in files if f.startswith((".git/", "build/")) or f == ".env"])
    for name, rest in instructions():
        if name == "FROM":
            base, _, alias = re.fullmatch(r"(\S+)( AS (\S+))?", rest).groups()
            stage = stages[alias or "final"] = Stage(base, alias or "final")
            args = {}
        elif name == "WORKDIR":
            stage.workdir = rest
            os.makedirs(stage.target("."), exist_ok=True)
        elif name == "COPY" and rest.startswith("--from="):
            origin, source, target = rest[len("--from="):].split()
            shutil.copytree(stages[origin].target(source), stage.target(target), dirs_exist_ok=True)
        elif name == "COPY":
            source, target = rest.split()
            for path in files if source == "." else [source]:
                check(f"{path} is in the context", path in files) if source != "." else None
                to = stage.target(path if source == "." else os.path.join(target, os.path.basename(path)))
                os.makedirs(os.path.dirname(to), exist_ok=True)
                shutil.copy2(os.path.join(HERE, path), to)
        elif name == "ARG":
            key, _, default = rest.partition("=")
            args[key] = os.environ.get("IMAGE_" + key, default)
        elif name == "ENV":
            key, _, value = rest.partition("=")
            stage.env[key] = value
        elif name == "RUN":
            stage.run(rest, args)
        elif name == "USER":
            stage.user = rest
        elif name == "HEALTHCHECK":
            stage.health = json.loads(rest[rest.index("CMD ") + 4:])
        elif name == "ENTRYPOINT":
            stage.entry = json.loads(rest)
        elif name != "EXPOSE":
            sys.exit(f"image: the Dockerfile has {name}, which this script does not know")
    return stages["final"]


def size(root):
    return int(subprocess.run(["du", "-sxk", root], check=True, text=True, stdout=subprocess.PIPE).stdout.split()[0]) // 1024


def try_out(image):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    bare = subprocess.run(image.command(image.entry, {"LLM_PROXY__PORT": port}), text=True, capture_output=True, timeout=20)
    check("a container without a key ends with 2 and says which option it needs",
          bare.returncode == 2 and "LLM_PROXY__INTERNAL_API_KEY" in bare.stderr, bare.stderr)
    env = {"LLM_PROXY__PORT": port, "LLM_PROXY__INTERNAL_API_KEY": "of-this-container", "LLM_PROXY__LLM_MODE": "mock"}
    container = subprocess.Popen(image.command(image.entry, env), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        healthy = None
        for _ in range(50):
            healthy = subprocess.run(image.command(image.health, env), text=True, capture_output=True, timeout=20)
            if healthy.returncode == 0:
                break
            time.sleep(0.1)
        check("its health check says 0 once it serves", healthy.returncode == 0, healthy.stderr)
        with open(f"/proc/{container.pid}/status", encoding="utf-8") as status:
            check("it runs as its own user, with no capability", re.search(r"Uid:\s65532\s65532.*CapEff:\s0+$", status.read(),
                                                                       re.S | re.M))
        container.send_signal(signal.SIGTERM)
        log, _ = container.communicate(timeout=20)
        check("SIGTERM ends it with 0", container.returncode == 0, log)
        late = subprocess.run(image.command(image.health, env), text=True, capture_output=True, timeout=20)
        check("its health check says 1 when it is gone", late.returncode == 1, late.stderr)
    finally:
        if container.poll() is None:
            container.kill()
            container.wait()
    version = subprocess.run(image.command(["llm-proxy", "--version"]), text=True, capture_output=True, timeout=20).stdout
    say(version.strip())
    base = next(os.path.join(ROOTS, name[:-5]) for name in os.listdir(ROOTS) if name.endswith(".done"))
    say(f"the image adds {size(image.root) - size(base)} MiB to its base's {size(base)} (debootstrap's; the -slim image has less)")


def main():
    os.makedirs(ROOTS, exist_ok=True)
    for name in os.listdir(ROOTS):
        if name.startswith("image-") and name.endswith(".log"):
            os.remove(os.path.join(ROOTS, name))
    try:
        try_out(build())
    finally:
        for name in os.listdir(ROOTS):
            if name.startswith("image-") and not name.endswith(".log"):
                shutil.rmtree(os.path.join(ROOTS, name), ignore_errors=True)


if __name__ == "__main__":
    main()
