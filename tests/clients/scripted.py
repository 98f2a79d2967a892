#!/usr/bin/env python3
"""An upstream that answers as the model's name says: `status-429-2` fails twice with 429 and then succeeds,
`status-400` always fails, `hang` sends nothing, `cut` ends its stream in the middle, and `slow` sends a word every
20 ms. It counts the requests, and records when clients leave a stream. What it says to the Responses API is in
scripted_responses.py, to Anthropic's Messages API in scripted_messages.py, and to agents that chat in scripted_chat.py.
stored.py answers for files and the like."""
import collections
import http.server
import json
import sys
import threading
import time

import scripted_chat
import scripted_messages
import scripted_responses
import stored

lock = threading.Lock()
seen = collections.Counter()
left = {}  # when the peer of a stream left, by the text of the stream's user message


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def say(self, status, body, **headers):
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(data)

    def keep(self, body=b""):
        status, headers, data = stored.answer(self.command, self.path, self.headers, body)
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if status != 204:
            self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def do_DELETE(self):
        self.keep()

    def do_GET(self):
        if stored.keeps(self.path):
            self.keep()
        elif self.path == "/counts":
            with lock:
                self.say(200, {"seen": dict(seen), "left": left})
        elif self.path == "/posts":
            with scripted_responses.lock:
                self.say(200, scripted_responses.posts)
        else:
            self.say(200, {"object": "list", "data": []})

    def body(self):
        if self.headers.get("transfer-encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("content-length", 0)))
        data = b""
        while size := int(self.rfile.readline(), 16):
            data += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return data

    def chunk(self, data):
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
        self.wfile.flush()

    def event(self, value):
        self.chunk(b"data: " + (value if isinstance(value, str) else json.dumps(value)).encode() + b"\n\n")

    def do_POST(self):
        body = self.body()
        if self.path == "/v1/images/variations":
            return self.say(200, {"created": 1, "data": [{"b64_json": "AAAA"}]})
        if stored.keeps(self.path):
            return self.keep(body)
        request = json.loads(body)
        model = request.get("model", "")
        user = next((m["content"] for m in request.get("messages", []) if m["role"] == "user"), "")
        with lock:
            seen[model] += 1
            count = seen[model]
        if model.startswith("status-"):
            parts = model.split("-")
            if len(parts) < 3 or count <= int(parts[2]):
                return self.say(int(parts[1]), {"error": {"message": f"scripted {parts[1]}", "type": "scripted",
                                                          "param": None, "code": parts[1]}}, retry_after="1")
        if model == "hang":
            time.sleep(5)
            return None
        if self.path.endswith("/responses"):
            return self.respond(request)
        path = self.path.partition("?")[0]
        if path.endswith("/messages"):
            return self.answer_message(request)
        if path.endswith("/count_tokens"):
            return self.say(200, {"input_tokens": 10})
        if wanted := scripted_chat.wanted(request):
            return self.chat(request, wanted)
        if request.get("stream"):
            return self.stream(model, user)
        return self.say(200, {"id": "c", "object": "chat.completion", "created": 1, "model": model, "choices": [
            {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": f"after {count}"}}]})

    def start_stream(self):
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()

    def respond(self, request):
        failure = scripted_responses.take_failure(request)
        if isinstance(failure, int):
            return self.say(failure, {"error": {"message": f"scripted {failure}", "type": "scripted", "param": None,
                                                "code": str(failure)}}, retry_after="1")
        self.start_stream()
        for number, event in enumerate(scripted_responses.events_of(request, dict(self.headers))):
            if failure == "break" and event["type"] == "response.completed":
                self.close_connection = True
                return None
            self.event({**event, "sequence_number": number})
        self.wfile.write(b"0\r\n\r\n")
        return None

    def answer_message(self, request):
        failure = scripted_messages.take_failure(request)
        if isinstance(failure, int):
            return self.say(failure, {"type": "error", "error": {"type": "scripted", "message": f"scripted {failure}"}},
                            retry_after="1")
        if not request.get("stream"):
            return self.say(200, scripted_messages.message_to(request, dict(self.headers)))
        self.start_stream()
        for event in scripted_messages.events_of(request, dict(self.headers)):
            if failure == "break" and event.get("delta", {}).get("type") == "input_json_delta":
                self.close_connection = True
                return None
            self.chunk(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode())
        self.wfile.write(b"0\r\n\r\n")
        return None

    def chat(self, request, wanted):
        if not request.get("stream"):
            return self.say(200, scripted_chat.whole(request, wanted))
        self.start_stream()
        for chunk in scripted_chat.chunks_of(request, wanted):
            self.event(chunk)
        self.event("[DONE]")
        self.wfile.write(b"0\r\n\r\n")
        return None

    def stream(self, model, user):
        self.start_stream()
        delta = lambda text, reason=None: {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": model,
                                           "choices": [{"index": 0, "delta": {"content": text}, "finish_reason": reason}]}
        try:
            if model == "cut":
                self.event(delta("half"))
                self.close_connection = True
                return
            words = 200 if model == "slow" else 30
            for i in range(words):
                self.event(delta(f"{user}:{i} "))
                time.sleep(0.02 if model == "slow" else 0.002)
            self.event(delta("", "stop"))
            self.event("[DONE]")
            self.wfile.write(b"0\r\n\r\n")
        except OSError:
            with lock:
                left[user] = time.time()
            self.close_connection = True


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 512


if __name__ == "__main__":
    Server(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
