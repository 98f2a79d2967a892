"""The targets of the tests, by name. run.py starts them."""
import os
import unittest

KEY = os.environ["CLIENT_TEST_KEY"]
MOCK = os.environ["TARGET_MOCK"]
SCRIPTED = os.environ["TARGET_SCRIPTED"]
LITELLM = os.environ.get("TARGET_LITELLM")
DIRECT = os.environ.get("TARGET_DIRECT")
DIRECT_KEY = os.environ.get("DIRECT_KEY")

needs_litellm = unittest.skipUnless(LITELLM, "no real LiteLLM on this machine")


class OnMock:
    base = MOCK


@needs_litellm
class OnLiteLLM:
    base = LITELLM
