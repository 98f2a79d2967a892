"""Many streams at once: each one is whole, in order, and has no words of another stream. When clients leave, their
upstream requests are closed soon."""
import asyncio
import time
import unittest

import httpx
import openai

from targets import KEY, SCRIPTED

STREAMS = 200
LEAVING = 50


def client():
    return openai.AsyncOpenAI(base_url=SCRIPTED + "/v1", api_key=KEY, max_retries=0, timeout=60,
                              http_client=httpx.AsyncClient(limits=httpx.Limits(max_connections=None), timeout=60))


class Crowd(unittest.IsolatedAsyncioTestCase):
    async def test_200_streams_do_not_mix(self):
        async with client() as sdk:
            async def one(i):
                text = ""
                async for chunk in await sdk.chat.completions.create(model="crowd", stream=True, messages=[
                        {"role": "user", "content": f"stream-{i}"}]):
                    text += chunk.choices[0].delta.content or ""
                return text

            texts = await asyncio.gather(*(one(i) for i in range(STREAMS)))
        for i, text in enumerate(texts):
            self.assertEqual(text, "".join(f"stream-{i}:{n} " for n in range(30)))

    async def test_an_abort_of_50_reaches_upstream(self):
        async with client() as sdk:
            streams = []
            for i in range(LEAVING):
                stream = await sdk.chat.completions.create(model="slow", stream=True, messages=[
                    {"role": "user", "content": f"leaver-{i}"}])
                await anext(aiter(stream))
                streams.append(stream)
            begun = time.time()
            await asyncio.gather(*(stream.close() for stream in streams))
        # The scripted upstream writes every 20 ms, and notices with one of its next writes that the client has left.
        upstream = await self.departures()
        late = {name: when - begun for name, when in upstream.items() if name.startswith("leaver-")}
        self.assertEqual(len(late), LEAVING)
        self.assertLess(max(late.values()), 1.0)

    async def departures(self):
        import os
        url = os.environ["SCRIPTED_ITSELF"] + "/counts"
        for _ in range(50):
            async with httpx.AsyncClient() as http:
                left = (await http.get(url)).json()["left"]
            if sum(name.startswith("leaver-") for name in left) == LEAVING:
                return left
            await asyncio.sleep(0.1)
        return left


if __name__ == "__main__":
    unittest.main()
