"""Runs mixed load with random faults against the built program, and reports whether it leaks (scripts/soak.sh)."""
import argparse
import asyncio
import collections
import json
import logging
import os
import random
import signal
import socket
import subprocess
import sys
import time

KEY = "soak-key"
DELTA = b'data: {"choices":[{"index":0,"delta":{"content":"word "},"finish_reason":null}]}\n\n'
END = b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'
counts = collections.Counter()
wrong = []


def chunk(data):
    return b"%x\r\n%s\r\n" % (len(data), data)


def answer(status, body, kind=b"application/json", more=b""):
    return b"HTTP/1.1 %d X\r\ncontent-type: %s\r\ncontent-length: %d\r\n%s\r\n%s" % (status, kind, len(body), more, body)


# -- the upstream, which does what the model's name says


async def read_request(reader):
    head = await reader.readuntil(b"\r\n\r\n")
    length = 0
    chunked = False
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            length = int(value)
        chunked = chunked or (name.lower() == b"transfer-encoding" and b"chunked" in value)
    body = await reader.readexactly(length) if length else b""
    while chunked:
        size = int(await reader.readline(), 16)
        body += await reader.readexactly(size)
        await reader.readline()
        chunked = size > 0
    return head, body


async def upstream(reader, writer):
    try:
        while True:
            head, body = await read_request(reader)
            if head.startswith(b"GET"):
                writer.write(answer(200, b'{"data":[{"id":"m"}]}'))
                continue
            if b"multipart" in head:
                writer.write(answer(200, b'{"text":"heard"}'))
                continue
            asked = json.loads(body)
            model = asked["model"]
            if model == "refuse":
                writer.transport.abort()
                return
            if model == "hang":
                await reader.read(1)
                return
            if model == "html":
                writer.write(answer(200, b"<html>", b"text/html"))
                continue
            if model == "error":
                writer.write(answer(random.choice([400, 429, 500, 503]), b'{"error":{"message":"no","code":"x"}}'))
                continue
            if not asked.get("stream"):
                writer.write(answer(200, b'{"id":"1","choices":[],"pad":"' + b"x" * random.choice([10, 1000, 200000]) + b'"}'))
                continue
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n")
            events = 2000 if model == "long" else 20
            for i in range(events):
                if writer.is_closing():
                    return
                writer.write(chunk(DELTA))
                if i % 10 == 0:
                    await writer.drain()
                    await asyncio.sleep(0.005)
                if model == "cut" and i == events // 2:
                    writer.transport.abort()
                    return
                if model == "stall" and i == events // 2:
                    await reader.read(1)
                    return
            writer.write(chunk(END) + b"0\r\n\r\n")
            await writer.drain()
            if random.random() < 0.02:
                return  # a kept connection may also just end
    except (asyncio.IncompleteReadError, ConnectionError, OSError):
        pass
    finally:
        writer.close()


# -- the clients


def chat(model, stream, text="hello"):
    body = json.dumps({"model": model, "stream": stream, "messages": [{"role": "user", "content": text}]}).encode()
    return (b"POST /v1/chat/completions HTTP/1.1\r\nhost: h\r\nx-internal-auth: %s\r\ncontent-type: application/json\r\n"
            b"content-length: %d\r\n\r\n%s" % (KEY.encode(), len(body), body))


async def read_answer(reader):
    """Returns the status, the body, and whether the body's framing was complete."""
    head = await reader.readuntil(b"\r\n\r\n")
    status = int(head.split(b" ", 2)[1])
    body = b""
    if b"transfer-encoding: chunked" not in head.lower():
        length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
        return status, await reader.readexactly(length), True
    try:
        while True:
            size = int(await reader.readuntil(b"\r\n"), 16)
            body += await reader.readexactly(size)
            await reader.readexactly(2)
            if size == 0:
                return status, body, True
    except (asyncio.IncompleteReadError, ConnectionError):
        return status, body, False


async def ask(port, kind):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        if kind in ("leave-early", "leave-midstream", "leave-hanging"):
            writer.write(chat("hang" if kind == "leave-hanging" else "long", kind != "leave-hanging"))
            if kind == "leave-midstream":
                await reader.readuntil(b"word ")
            await asyncio.sleep(random.random() * 0.05)
            if random.random() < 0.5:
                writer.transport.abort()
            return None
        if kind == "garbage":
            writer.write(random.choice([b"\x16\x03\x01\x02\x00", b"GET / HTTP/1.1\r\nhost: h\r\n a: b\r\n\r\n", b"POST"]))
            writer.write_eof()
            await reader.read(65536)
            return None
        if kind == "slow-reader":
            writer.write(chat("long", True))
            for _ in range(20):
                await reader.read(512)
                await asyncio.sleep(0.05)
            return None
        if kind == "upload":
            body = b"--b\r\n" + b"a" * 300000
            writer.write(b"POST /v1/audio/transcriptions HTTP/1.1\r\nhost: h\r\nx-internal-auth: %s\r\ncontent-type: "
                         b"multipart/form-data; boundary=b\r\ncontent-length: %d\r\n\r\n%s" % (KEY.encode(), len(body), body))
        elif kind == "bad-key":
            writer.write(chat("m", False).replace(KEY.encode(), b"wrong"))
        elif kind == "models":
            writer.write(b"GET /v1/models HTTP/1.1\r\nhost: h\r\nx-internal-auth: %s\r\n\r\n" % KEY.encode())
        else:
            model, _, stream = kind.partition("/")
            writer.write(chat(model, bool(stream), "x" * random.choice([10, 100, 50000])))
        return await read_answer(reader)
    finally:
        writer.close()


def is_right(kind, got):
    status, body, whole = got
    if kind in ("m", "upload", "models"):
        return status == 200 and whole
    if kind in ("m/stream", "long/stream"):
        return status == 200 and whole and body.endswith(b"[DONE]\n\n")
    if kind == "cut/stream":
        return not whole and b"upstream_disconnected" in body and b"[DONE]" not in body
    if kind == "stall/stream":
        return not whole and b"upstream_timeout" in body and b"[DONE]" not in body
    wanted = {"refuse": (502,), "hang": (504,), "html": (502,), "bad-key": (401,), "error": (400, 429, 502, 503)}[kind]
    return status in wanted and whole


KINDS = {"m": 30, "m/stream": 30, "long/stream": 2, "upload": 5, "models": 5, "bad-key": 3, "error": 5, "html": 3,
         "refuse": 3, "hang": 1, "cut/stream": 5, "stall/stream": 1, "leave-early": 5, "leave-midstream": 5,
         "leave-hanging": 3, "garbage": 3, "slow-reader": 1}


async def client(port, until):
    while time.monotonic() < until:
        kind = random.choices(list(KINDS), list(KINDS.values()))[0]
        counts[kind] += 1
        try:
            got = await asyncio.wait_for(ask(port, kind), 30)
            if got is not None and not is_right(kind, got):
                wrong.append((kind, got[0], got[1][-300:], got[2]))
        except asyncio.TimeoutError:
            wrong.append((kind, "no answer in 30 s"))
        except (asyncio.IncompleteReadError, ConnectionError, OSError) as error:
            if kind not in ("leave-early", "leave-midstream", "leave-hanging", "garbage", "slow-reader"):
                wrong.append((kind, repr(error)))


# -- the measurements


def rss_kib(pid):
    with open(f"/proc/{pid}/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGESIZE") // 1024


def descriptors(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


async def sample(pid, samples, until, hangups):
    started = time.monotonic()
    last_hangup = started
    while time.monotonic() < until:
        samples.append((time.monotonic() - started, rss_kib(pid), descriptors(pid)))
        if hangups and time.monotonic() - last_hangup > 7:
            os.kill(pid, signal.SIGHUP)
            counts["SIGHUP"] += 1
            last_hangup = time.monotonic()
        await asyncio.sleep(0.5)


def takes_hangups(pid):
    """Returns whether the program handles, ignores or blocks SIGHUP. Otherwise the signal would end it."""
    bit = 1 << (signal.SIGHUP - 1)
    with open(f"/proc/{pid}/status") as file:
        masks = dict(line.split(":\t") for line in file.read().splitlines() if line.startswith("Sig"))
    return any(int(masks[name], 16) & bit for name in ("SigCgt", "SigIgn", "SigBlk"))


def plot(samples, path):
    width, height = 800, 300
    end = samples[-1][0]

    def line(column, color):
        most = max(row[column] for row in samples) * 1.1
        points = " ".join(f"{row[0] / end * width:.1f},{height - row[column] / most * height:.1f}" for row in samples)
        return f'<polyline fill="none" stroke="{color}" points="{points}"/>'

    rss, fds = max(row[1] for row in samples), max(row[2] for row in samples)
    with open(path, "w") as file:
        file.write(f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 -20 {width} {height + 40}" font-family="sans-serif" '
                   f'font-size="12"><rect y="-20" width="{width}" height="{height + 40}" fill="white"/>'
                   f'<text x="4" y="-6" fill="#b00">RSS, at most {rss / 1024:.1f} MiB</text>'
                   f'<text x="260" y="-6" fill="#06c">descriptors, at most {fds}</text>'
                   f'<text x="{width - 80}" y="{height + 14}">{end:.0f} s</text>'
                   f'{line(1, "#b00")}{line(2, "#06c")}</svg>\n')


async def soak(options):
    server = await asyncio.start_server(upstream, "127.0.0.1", 0, backlog=1000)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {"PATH": os.environ["PATH"], "LLM_PROXY__LLM_MODE": "litellm", "LLM_PROXY__INTERNAL_API_KEY": KEY,
                   "LLM_PROXY__LITELLM_PROXY_URL": f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}",
                   "LLM_PROXY__PORT": str(port), "LLM_PROXY__FIRST_BYTE_TIMEOUT": "2s", "LLM_PROXY__IDLE_TIMEOUT": "2s",
                   "LLM_PROXY__THREADS": "2", "LLM_PROXY__DRAIN_TIMEOUT": "5s"}
    with open(os.path.join(options.out, "log"), "wb") as log:
        service = subprocess.Popen([options.binary], env=environment, stdout=log, stderr=log, cwd=options.out)
    try:
        for _ in range(100):
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                await asyncio.sleep(0.1)
        hangups = takes_hangups(service.pid)
        if not hangups:
            print("this build does not handle SIGHUP: none are sent")
        samples = []
        rests = []

        async def rest():
            # Idle upstream connections are closed after 4 s, and memory is given back 2 s after a crowd has left.
            await asyncio.sleep(8)
            # The model list is fetched from time to time, so the lowest values of a few seconds count.
            seen = []
            for _ in range(12):
                await asyncio.sleep(0.5)
                seen.append((rss_kib(service.pid), descriptors(service.pid)))
            rests.append(tuple(map(min, zip(*seen))))

        started = time.monotonic()
        until = started + options.minutes * 60
        sampler = asyncio.create_task(sample(service.pid, samples, until + 3600, hangups))
        part = options.minutes * 60 / 4
        for number in range(4):
            end = min(until, started + part * (number + 1) - 14)
            await asyncio.gather(*(client(port, end) for _ in range(options.clients)))
            await rest()
        sampler.cancel()
        alive = service.poll() is None
        service.send_signal(signal.SIGTERM)
        code = service.wait(20)
    finally:
        if service.poll() is None:
            service.kill()
        server.close()
    with open(os.path.join(options.out, "samples.csv"), "w") as file:
        file.write("seconds,rss_kib,descriptors\n")
        file.writelines(f"{at:.1f},{rss},{fds}\n" for at, rss, fds in samples)
    plot(samples, os.path.join(options.out, "samples.svg"))
    print(f"{sum(counts.values())} requests: " + ", ".join(f"{kind} {n}" for kind, n in sorted(counts.items())))
    for number, (rss, fds) in enumerate(rests, 1):
        print(f"at rest after quarter {number}: RSS {rss / 1024:.1f} MiB, {fds} descriptors")
    for each in wrong[:20]:
        print("WRONG:", *each)
    # Caches and pools fill up in the first quarter. After that neither memory nor descriptors may grow.
    leak = rests[-1][1] > rests[0][1] or rests[-1][0] > rests[0][0] * 1.1 + 2048
    print(f"wrong answers: {len(wrong)}; ended by itself: {'no' if alive else 'YES'}; exit code {code}")
    print(f"leaks: {'YES' if leak else 'no'}")
    return 1 if leak or wrong or not alive or code != 0 else 0


def main():
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)  # hides warnings about peers that leave on purpose
    parser = argparse.ArgumentParser()
    parser.add_argument("--binary", required=True)
    parser.add_argument("--minutes", type=float, default=5)
    parser.add_argument("--clients", type=int, default=40)
    parser.add_argument("--out", required=True)
    options = parser.parse_args()
    options.binary = os.path.abspath(options.binary)
    sys.exit(asyncio.run(soak(options)))


if __name__ == "__main__":
    main()
