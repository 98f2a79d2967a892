"""Tests of the Responses API over WebSocket with OpenAI's unmodified Python SDK: `responses.connect()`, and the sessions
with lanes of openai.lib.responses_websocket."""
import json
import os
import unittest
import urllib.request

import openai
import websockets
from openai.lib.responses_websocket import (ResponsesWebSocketError, ResponsesWebSocketLimits,
                                            ResponsesWebSocketSession)

import scripted_responses
from targets import KEY, LITELLM, MOCK, SCRIPTED, needs_litellm

MODEL = "mock-llm"
TOOLS = [{"type": "function", "name": name, "parameters": {"type": "object", "properties": {
    "text": {"type": "string"}}}} for name in ("get_weather", "get_time")]
ENDS = ("response.completed", "response.failed", "response.incomplete", "error")
LIMITS = ResponsesWebSocketLimits(max_lanes=8, max_events_per_lane=1000, max_events=8000,
                                  max_bytes_per_lane=1 << 24, max_bytes=1 << 27)


def outputs(response, text="says 42"):
    return [{"type": "function_call_output", "call_id": item.call_id, "output": f"{item.name} {text}"}
            for item in response.output if item.type == "function_call"]


class OverWebSocket:
    base = None

    def setUp(self):
        self.client = openai.OpenAI(base_url=self.base + "/v1", api_key=KEY, max_retries=0, timeout=30)
        self.addCleanup(self.client.close)
        connection = self.client.responses.connect()
        self.socket = connection.__enter__()
        self.addCleanup(connection.__exit__, None, None, None)

    def events(self, **request):
        """Returns the events of a response, in order."""
        self.socket.response.create(**{"model": MODEL, "store": False, **request})
        events = []
        while not events or events[-1].type not in ENDS:
            events.append(self.socket.recv())
        return events

    def respond(self, **request):
        events = self.events(**request)
        self.assertEqual(events[-1].type, "response.completed", events[-1])
        return events[-1].response

    def refuse(self, **request):
        """Returns the one event, an error, that answers the request."""
        events = self.events(**request)
        self.assertEqual([event.type for event in events], ["error"])
        return events[0]


class Surface(OverWebSocket):
    def test_turns_on_one_socket(self):
        for text in ("one two three", "four"):
            events = self.events(input=text)
            self.assertEqual([event.type for event in events[:2]], ["response.created", "response.in_progress"])
            self.assertEqual([event.sequence_number for event in events], list(range(len(events))))
            self.assertEqual({event.stream_id for event in events}, {None})
            deltas = [event.delta for event in events if event.type == "response.output_text.delta"]
            self.assertEqual("".join(deltas), f"Mock LLM response: {text}")
            self.assertEqual(events[-1].response.output_text, f"Mock LLM response: {text}")
            self.assertGreater(events[-1].response.usage.total_tokens, 0)

    def test_a_continuation(self):
        parent = self.respond(input="one")
        for text in ("two", "three"):
            parent = self.respond(input=text, previous_response_id=parent.id)
            self.assertEqual(parent.output_text, f"Mock LLM response: {text}")

    def test_tool_loop_with_parallel_calls(self):
        asked = self.respond(input="call get_weather and call get_time", tools=TOOLS)
        calls = [item for item in asked.output if item.type == "function_call"]
        self.assertEqual([call.name for call in calls], ["get_weather", "get_time"])
        for call in calls:
            self.assertEqual(json.loads(call.arguments)["text"], "call get_weather and call get_time")
        answer = self.respond(input=outputs(asked), previous_response_id=asked.id, tools=TOOLS)
        self.assertEqual(answer.output_text, "Mock LLM response: get_time says 42")

    def test_a_warm_up_has_no_output_and_can_be_continued(self):
        events = self.events(input="instructions", generate=False)
        self.assertEqual([event.type for event in events],
                         ["response.created", "response.in_progress", "response.completed"])
        self.assertEqual(events[-1].response.output, [])
        answer = self.respond(input="question", previous_response_id=events[-1].response.id)
        self.assertEqual(answer.output_text, "Mock LLM response: question")

    def test_lanes_run_side_by_side(self):
        names = ("lane-1", "lane.2", "lane_3")
        with ResponsesWebSocketSession(self.socket, limits=LIMITS) as session:
            lanes = {name: session.lane(name) for name in names}
            for name, lane in lanes.items():
                lane.send({"type": "response.create", "model": MODEL, "store": False, "input": f"I am {name}"})
            session.default.send({"type": "response.create", "model": MODEL, "store": False, "input": "no name"})
            parents = {name: lane.get_final_response(timeout=20) for name, lane in lanes.items()}
            for name, lane in lanes.items():
                self.assertEqual(parents[name].output_text, f"Mock LLM response: I am {name}")
                lane.send({"type": "response.create", "model": MODEL, "store": False, "input": f"again {name}",
                           "previous_response_id": parents[name].id})
            self.assertEqual(session.default.get_final_response(timeout=20).output_text, "Mock LLM response: no name")
            for name, lane in lanes.items():
                while (event := lane.recv(timeout=20)).type not in ENDS:
                    self.assertEqual(event.stream_id, name)
                self.assertEqual(event.response.output_text, f"Mock LLM response: again {name}")

    def test_errors_leave_the_socket_open(self):
        missing = self.refuse(input="x", previous_response_id="resp_unknown")
        self.assertEqual((missing.status, missing.error.code, missing.error.param),
                         (400, "previous_response_not_found", "previous_response_id"))
        self.assertEqual(missing.error.type, "invalid_request_error")
        bad = self.refuse(input=5)
        self.assertEqual((bad.status, bad.error.param), (422, "input"))
        self.assertEqual(self.refuse(input="x", stream_id="no blank").error.code, "invalid_stream_id")
        self.assertEqual(self.respond(input="still here").output_text, "Mock LLM response: still here")

    def test_steering_returns_the_input(self):
        self.socket.response.steer(previous_response_id="resp_1", input=[{"role": "user", "content": "other way"}])
        failed = self.socket.recv()
        self.assertEqual((failed.type, failed.error.code), ("response.steer.failed", "steering_not_supported"))
        self.assertEqual(failed.steer.input, [{"role": "user", "content": "other way"}])

    def test_a_wrong_key_is_refused_at_the_handshake(self):
        with self.assertRaises(websockets.exceptions.InvalidStatus) as caught:
            self.client.with_options(api_key="wrong").responses.connect().enter()
        self.assertEqual(caught.exception.response.status_code, 401)


class WebSocketOnMock(Surface, unittest.TestCase):
    base = MOCK


@needs_litellm
class WebSocketOnLiteLLM(Surface, unittest.TestCase):
    base = LITELLM


class WebSocketOnScripted(OverWebSocket, unittest.TestCase):
    base = SCRIPTED

    def posts(self, text):
        """Returns what upstream got of the conversations that have `text`."""
        with urllib.request.urlopen(os.environ["SCRIPTED_ITSELF"] + "/posts") as answer:
            return [post for post in json.load(answer) if text in json.dumps(post["body"]["input"])]

    def converse(self, text, **options):
        """Makes the calls that the text asks for, and returns the last response."""
        response = self.respond(input=[{"role": "user", "content": text}], tools=TOOLS, **options)
        while wanted := outputs(response):
            response = self.respond(input=wanted, previous_response_id=response.id, tools=TOOLS, **options)
        return response

    def test_what_is_not_stored_is_posted_whole(self):
        self.assertEqual(self.converse("python: make 9 calls").output_text, "done after 9 calls")
        posts = self.posts("python: make 9 calls")
        self.assertEqual(len(posts), 8)  # two calls at once, twice
        scripted_responses.check_history(self, posts)

    def test_a_warm_up_is_part_of_the_history(self):
        warm = self.respond(input=[{"role": "developer", "content": "python: be brief"}], generate=False)
        self.assertEqual(self.posts("python: be brief"), [])
        self.respond(input=[{"role": "user", "content": "go"}], previous_response_id=warm.id)
        (post,) = self.posts("python: be brief")
        self.assertEqual([item["content"] for item in post["body"]["input"]], ["python: be brief", "go"])
        scripted_responses.check_history(self, [post])

    def test_what_is_stored_is_continued_by_upstream(self):
        first = self.respond(input="python: stored", store=True)
        second = self.respond(input="python: stored too", store=True, previous_response_id=first.id)
        posts = self.posts("python: stored")
        self.assertEqual([post["body"].get("previous_response_id") for post in posts], [None, first.id])
        self.assertEqual(posts[1]["body"]["input"], "python: stored too")
        self.assertNotEqual(first.id, second.id)

    def test_a_fork_has_the_history_of_its_parent(self):
        parent = self.respond(input=[{"role": "user", "content": "python: fork"}])
        with ResponsesWebSocketSession(self.socket, limits=LIMITS) as session:
            lanes = [session.lane(name) for name in ("left", "right")]
            for lane in lanes:
                lane.send({"type": "response.create", "model": MODEL, "store": False, "input": [
                    {"role": "user", "content": "on"}], "previous_response_id": parent.id})
            for lane in lanes:
                self.assertEqual(lane.get_final_response(timeout=20).status, "completed")
        first, *forks = self.posts("python: fork")
        self.assertEqual(len(forks), 2)
        for fork in forks:
            scripted_responses.check_history(self, [first, fork])

    def test_errors_of_upstream(self):
        for status, shown in ((400, 400), (404, 404), (429, 429), (503, 503), (401, 502)):
            with self.subTest(status=status):
                event = self.refuse(model=f"status-{status}", input="x")
                self.assertEqual(event.status, shown)
                if status != 401:
                    self.assertIn(f"scripted {status}", event.error.message)
        self.assertEqual(self.respond(input="after").output_text, "done after 0 calls")

    def test_an_error_carries_its_headers(self):
        event = self.refuse(model="status-429", input="x")
        self.assertEqual(event.error.headers["retry-after"], "1")
        self.assertTrue(event.error.headers["x-request-id"])
        self.assertEqual(event.to_dict()["headers"], event.error.headers)  # where Codex looks for them

    def test_an_error_of_a_lane_names_it(self):
        with ResponsesWebSocketSession(self.socket, limits=LIMITS) as session:
            lane = session.lane("failing")
            lane.send({"type": "response.create", "model": "status-429", "store": False, "input": "x"})
            with self.assertRaises(ResponsesWebSocketError) as caught:
                lane.get_final_response(timeout=20)
            self.assertEqual((caught.exception.event.stream_id, caught.exception.event.status), ("failing", 429))

    def test_a_failure_forgets_the_parent(self):
        parent = self.respond(input="python: parent")
        self.assertEqual(self.refuse(model="status-400", input="x", previous_response_id=parent.id).status, 400)
        again = self.refuse(input="x", previous_response_id=parent.id)
        self.assertEqual(again.error.code, "previous_response_not_found")


if __name__ == "__main__":
    unittest.main()
