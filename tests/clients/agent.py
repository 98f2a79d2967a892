"""What the tests of coding agents have in common: the service in front of scripted.py, and an agent that runs without a
terminal, in a folder of its own, and reaches nothing but the service."""
import json
import os
import signal
import subprocess
import tempfile
import time
import unittest
import urllib.request

import run

FOLDER = os.path.join(run.ROOT, "build", "clients", "agents")


class Agent(unittest.TestCase):
    def setUp(self):
        self.addCleanup(run.stop_all)
        self.upstream = run.start_scripted("agents-scripted")
        home = tempfile.TemporaryDirectory(prefix="agent-", dir=os.path.dirname(FOLDER))
        self.addCleanup(home.cleanup)
        self.home, self.work = home.name, os.path.join(home.name, "work")
        os.mkdir(self.work)

    def start(self, name="agents-proxy", **options):
        self.base = run.start_proxy(name, LITELLM_PROXY_URL=self.upstream, INTERNAL_API_KEY=run.KEY, **options)

    def run_agent(self, command, env, status=0):
        """Runs an agent, asserts that it ends with `status`, and returns the JSON lines that it wrote. What it said to
        stderr is in self.said."""
        env = {"PATH": os.environ["PATH"], "HOME": self.home, **env}
        with subprocess.Popen(command, env=env, cwd=self.work, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True, start_new_session=True) as process:
            try:
                out, self.said = process.communicate(timeout=60)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)  # an agent starts processes of its own
                self.fail("the agent did not end:\n" + "\n".join(process.communicate()))
        self.assertEqual(process.returncode, status, out + self.said)
        return [json.loads(line) for line in out.splitlines()]

    def posts(self):
        with urllib.request.urlopen(self.upstream + "/posts") as answer:
            return json.load(answer)

    def logged(self, wanted, name="agents-proxy"):
        """Returns the requests in the service's log, as "method path status verdict". It waits for `wanted` of them."""
        for _ in range(100):
            with open(os.path.join(run.ROOT, "build", "clients", name + ".log")) as log:
                lines = [json.loads(line) for line in log if line.endswith("}\n")]
            told = [f"{line['method']} {line['path']} {line['status']} {line['verdict']}" for line in lines
                    if line["msg"] == "request" and line["path"] != "/health"]
            if len(told) >= wanted:
                break
            time.sleep(0.05)
        return told
