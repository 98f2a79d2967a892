#!/usr/bin/env python3
"""Runs three llm-proxies in mock mode behind HAProxy (config/haproxy/haproxy.cfg) under load, and ends one of them.

    scripts/replicas.py [KILL] [TERM]     the signals to end it with, each in a run of its own (default: both)
    CLIENTS=24 SECONDS=6 scripts/replicas.py

Clients send JSON requests and streams, half of them on kept connections and half on new ones. All requests that begin
after the replica is gone must succeed. With KILL it is gone when its exit is seen, because the kernel accepts connections
for it until then. With TERM it counts as gone from the signal on. Requests that were in flight on a killed replica may
fail, but the client must notice: it must get a 5xx or a stream that breaks, never one that looks complete. Requests in
flight on a replica that drains must succeed. The exit code is 0 if all that is true.
Needs haproxy (Debian's) and build/release/llm-proxy, or $LLM_PROXY_BIN."""
import asyncio
import collections
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request

HERE = os.path.realpath(os.path.join(os.path.dirname(__file__), ".."))
BINARY = os.environ.get("LLM_PROXY_BIN", os.path.join(HERE, "build/release/llm-proxy"))
CLIENTS, SECONDS = int(os.environ.get("CLIENTS", "24")), float(os.environ.get("SECONDS", "6"))
KEY = "replicas-key"
REPLICAS = 3

Outcome = collections.namedtuple("Outcome", "kind begun ended replica fault")


def free_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


class Stage:
    """The processes of one run. Each one is ended by its id."""

    def __init__(self):
        self.dir = tempfile.mkdtemp(prefix="llm-proxy-replicas.")
        self.processes = []
        self.ports = [free_port() for _ in range(REPLICAS)]
        self.port = free_port()
        try:
            self.start_all()
        except BaseException:
            self.close()
            raise

    def start_all(self):
        for number, port in enumerate(self.ports):
            self.start([BINARY], f"replica{number}", LLM_PROXY__LLM_MODE="mock", LLM_PROXY__PORT=str(port), LLM_PROXY__THREADS="1",
                       LLM_PROXY__INTERNAL_API_KEY=KEY, LLM_PROXY__MOCK_CHUNK_DELAY_MS="20", LLM_PROXY__LOG_LEVEL="WARNING")
        self.start(["haproxy", "-db", "-f", self.balancer()], "haproxy", LLM_PROXY_SERVERS="unused", DNS="127.0.0.1:53")
        self.await_all_up()

    def balancer(self):
        """Writes the project's configuration with the replicas' ports in place of names that only a container engine
        resolves, and returns its path."""
        with open(os.path.join(HERE, "config/haproxy/haproxy.cfg"), encoding="utf-8") as file:
            lines = file.read().splitlines()
        out = []
        for line in lines:
            if line.strip().startswith("server-template"):
                out += [f"  server replica{n} 127.0.0.1:{port}" for n, port in enumerate(self.ports)]
                # Only this test needs to know which replica has answered.
                out.append("  http-response set-header x-served-by %s")
            else:
                out.append(line.replace("bind :8080", f"bind 127.0.0.1:{self.port}").replace(" init-addr none resolvers dns resolve-prefer ipv4", ""))
        path = os.path.join(self.dir, "haproxy.cfg")
        with open(path, "w", encoding="utf-8") as file:
            file.write("\n".join(out) + "\n")
        return path

    def start(self, argv, name, **env):
        log = open(os.path.join(self.dir, name + ".log"), "wb")
        self.processes.append(subprocess.Popen(argv, cwd=self.dir, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                               env={"PATH": os.environ["PATH"] + ":/usr/sbin", **env}))

    def await_all_up(self):
        for port in [*self.ports, self.port]:
            path = "balancer-health" if port == self.port else "health"
            deadline = time.monotonic() + 20
            while True:
                try:
                    urllib.request.urlopen(f"http://127.0.0.1:{port}/{path}", timeout=2).read()
                    break
                except OSError:
                    if time.monotonic() > deadline:
                        sys.exit(f"replicas: nothing answers on port {port}; HAProxy says:\n" + self.log("haproxy"))
                    time.sleep(0.05)

    def log(self, name):
        with open(os.path.join(self.dir, name + ".log"), encoding="utf-8") as file:
            return file.read()

    def close(self):
        for process in self.processes:
            if process.poll() is None:
                process.kill()
            process.wait()
        shutil.rmtree(self.dir)


def request(stream):
    body = json.dumps({"model": "mock-llm", "stream": stream, "messages": [{"role": "user", "content": "one two three four five six"}]})
    return (f"POST /v1/chat/completions HTTP/1.1\r\nhost: replicas\r\nx-internal-auth: {KEY}\r\n"
            f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n{body}").encode()


async def exchange(reader, writer, stream):
    """Sends one request and returns (replica, fault). The fault is None only if the answer is whole."""
    writer.write(request(stream))
    await writer.drain()
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
    status = int(head.split(" ", 2)[1])
    fields = dict(line.split(": ", 1) for line in head.split("\r\n")[1:] if ": " in line)
    body = b""
    if fields.get("transfer-encoding") == "chunked":
        while True:
            size = int((await reader.readuntil(b"\r\n")).split(b";")[0], 16)
            body += (await reader.readexactly(size + 2))[:-2]
            if size == 0:
                break
    else:
        body = await reader.readexactly(int(fields["content-length"]))
    replica = fields.get("x-served-by")
    if status != 200:
        return replica, f"status {status}"
    if stream and not body.rstrip().endswith(b"data: [DONE]"):
        return replica, "error event" if b'"error"' in body else "FAKED: a clean end without [DONE]"
    if not stream and json.loads(body)["choices"][0]["finish_reason"] != "stop":
        return replica, "FAKED: a 200 that is no answer"
    return replica, None


async def client(number, port, end, outcomes):
    stream, keep = number % 2 == 0, number % 4 < 2
    connection = None
    while time.monotonic() < end:
        begun, replica = time.monotonic(), None
        try:
            if connection is None:
                connection = await asyncio.open_connection("127.0.0.1", port)
            replica, fault = await asyncio.wait_for(exchange(*connection, stream), 20)
        except (OSError, asyncio.IncompleteReadError, asyncio.TimeoutError) as error:
            fault = type(error).__name__
        outcomes.append(Outcome("stream" if stream else "json", begun, time.monotonic(), replica, fault))
        if connection and (fault or not keep):
            connection[1].close()
            connection = None
    if connection:
        connection[1].close()


async def load(stage, number):
    """Ends the first replica after a third of the time. Returns the outcomes of all requests, when the signal was sent,
    and from when on no request may fail."""
    outcomes, start = [], time.monotonic()
    clients = [asyncio.create_task(client(n, stage.port, start + SECONDS, outcomes)) for n in range(CLIENTS)]
    await asyncio.sleep(SECONDS / 3)
    at = time.monotonic()
    stage.processes[0].send_signal(number)
    gone = at
    if number == signal.SIGKILL:
        await asyncio.to_thread(stage.processes[0].wait)
        gone = time.monotonic()
    await asyncio.gather(*clients)
    return outcomes, at, gone


def run(name):
    stage = Stage()
    try:
        outcomes, at, gone = asyncio.run(load(stage, getattr(signal, "SIG" + name)))
        stage.processes[0].wait(timeout=20)
    finally:
        stage.close()
    before = [o for o in outcomes if o.ended < at]
    flying = [o for o in outcomes if o.begun < gone and o.ended >= at]
    after = [o for o in outcomes if o.begun >= gone]
    by_replica = collections.Counter(o.replica for o in before)
    cut = [o for o in flying if o.fault]
    print(f"SIG{name}: {len(before)} requests before, over {dict(sorted((str(k), v) for k, v in by_replica.items()))}; "
          f"{len(flying)} in flight until {(gone - at) * 1000:.0f} ms after the signal, {len(cut)} of them failed {dict(collections.Counter(o.fault for o in cut))}; "
          f"{len(after)} new ones after it, {sum(bool(o.fault) for o in after)} failed "
          f"{dict(collections.Counter(o.fault for o in after if o.fault))}; "
          f"slowest new JSON request {max((o.ended - o.begun for o in after if o.kind == 'json'), default=0) * 1000:.0f} ms", flush=True)
    wrong = []
    if len(by_replica) != REPLICAS:
        wrong.append("not all replicas had work before the signal")
    if not after or not any(o.kind == "stream" for o in flying):
        wrong.append("too little load to say anything")
    if any(o.fault for o in before + after):
        wrong.append("a request failed that had nothing to do with the ended replica")
    if name == "TERM" and cut:
        wrong.append("a replica that drains cut a request")
    if any(o.fault and o.fault.startswith("FAKED") for o in outcomes):
        wrong.append("a cut answer looked complete")
    for what in wrong:
        print(f"SIG{name}: WRONG: {what}", file=sys.stderr)
    return not wrong


def main():
    names = sys.argv[1:] or ["KILL", "TERM"]
    if any(name not in ("KILL", "TERM") for name in names):
        sys.exit(__doc__)
    if not shutil.which("haproxy", path=os.environ["PATH"] + ":/usr/sbin"):
        print("replicas: SKIPPED: needs haproxy (apt-get install haproxy)", file=sys.stderr)
        sys.exit(3)
    sys.exit(0 if all([run(name) for name in names]) else 1)


if __name__ == "__main__":
    main()
