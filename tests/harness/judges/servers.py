"""Servers for tests, in threads of their own: a plain HTTP/1.1 server, a fake vLLM, and a proxy that makes faults."""

import asyncio
import base64
import io
import json
import math
import threading
from collections.abc import Awaitable, Callable
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from urllib.parse import urlsplit

from PIL import Image


@dataclass
class Request:
    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def data(self):
        return json.loads(self.body or b"null")


@dataclass
class Response:
    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    send_only: int | None = None
    """Bytes of the body to send before the connection is cut; None sends all."""


class Drop(Exception):  # noqa: N818
    """The connection ends without an answer."""


def as_json(data, status=200, **headers):
    return Response(status, json.dumps(data).encode(), headers)


def error(status, message, code=None, **headers):
    return as_json({"error": {"message": message, "code": code, "type": "test"}}, status, **headers)


Handler = Callable[[Request], Awaitable[Response]]


class HttpServer:
    """Answers requests with `handler` until `close`."""

    def __init__(self, handler: Handler) -> None:
        self._handler = handler
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._server = self._run(asyncio.start_server(self._connection, "127.0.0.1", 0, limit=2**26))
        self.port = self._server.sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"

    def _run(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(30)

    async def _connection(self, reader, writer):
        try:
            while (request := await read_request(reader)) is not None:
                try:
                    response = await self._handler(request)
                except Drop:
                    break
                writer.write(encoded(response))
                await writer.drain()
                if response.send_only is not None:
                    break
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    def close(self):
        async def end():
            self._server.close()
            tasks = [t for t in asyncio.all_tasks() if t is not asyncio.current_task()]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

        self._run(end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()


async def read_head(reader):
    head = await reader.readuntil(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").rstrip("\r\n").split("\r\n")
    headers = {k.strip().lower(): v.strip() for k, _, v in (line.partition(":") for line in lines)}
    return first, headers


async def read_request(reader):
    try:
        first, headers = await read_head(reader)
    except asyncio.IncompleteReadError:
        return None
    method, path, _ = first.split(" ", 2)
    return Request(method, path, headers, await reader.readexactly(int(headers.get("content-length", 0))))


def encoded(response):
    headers = {"content-type": "application/json", **response.headers, "content-length": str(len(response.body))}
    lines = "".join(f"{k}: {v}\r\n" for k, v in headers.items())
    body = response.body if response.send_only is None else response.body[: response.send_only]
    return f"HTTP/1.1 {response.status} X\r\n{lines}\r\n".encode("latin-1") + body


@contextmanager
def serving(handler: Handler):
    server = HttpServer(handler)
    try:
        yield server
    finally:
        server.close()


# A fake vLLM

FILLER = [chr(97 + i) + chr(97 + j) for i in range(26) for j in range(10)]
VOCABULARY = [chr(i) for i in range(128)] + ["Yes", "No", " Yes", " No", "yes", "no", "\nYes", "NO.", "now", *FILLER]
"""Text by id; the first 128 ids are single signs."""

YES_IDS = [i for i, t in enumerate(VOCABULARY) if t.strip(" \n.").lower() == "yes"]
NO_IDS = [i for i, t in enumerate(VOCABULARY) if t.strip(" \n.").lower() == "no"]
SHARES = {"Yes": 0.7, "No": 0.7, " Yes": 0.2, " No": 0.15, "yes": 0.09, "no": 0.1, "\nYes": 0.01, "NO.": 0.05}
"""How a word's probability is spread over its spellings."""

COLOURS = {"red": (214, 30, 30), "blue": (24, 60, 210), "green": (20, 150, 50), "yellow": (245, 215, 30)}


def images_and_text(data):
    """Decoded images and joined text of a request's last turn."""
    images, texts = [], []
    content = data["messages"][-1]["content"]
    for part in [{"type": "text", "text": content}] if isinstance(content, str) else content:
        if part["type"] == "text":
            texts.append(part["text"])
        else:
            raw = base64.b64decode(part["image_url"]["url"].partition(",")[2])
            images.append(Image.open(io.BytesIO(raw)).convert("RGB"))
    return images, "\n".join(texts)


def colour_answer(images, question):
    """P(yes) to `Is there a COLOUR square in the picture?`; None for another question."""
    words = question.split()
    named = next((w for w in words if w in COLOURS), None)
    if named is None or "square" not in words:
        return None
    width, height = images[-1].size
    pixel = images[-1].getpixel((width // 2, height // 2))
    seen = min(COLOURS, key=lambda c: sum((a - b) ** 2 for a, b in zip(COLOURS[c], pixel, strict=True)))
    return 0.97 if seen == named else 0.02


def micro_answer(images, question):
    """P(yes) by the exact verifier of the micro world, kept off 0 and 1."""
    from harness.world.verifier import answer

    return min(0.99, max(0.01, float(answer(_parsed(images[-1].tobytes(), images[-1].size), question))))


@lru_cache(maxsize=256)
def _parsed(pixels, size):
    import numpy as np

    from harness.world.parse import perceive
    from harness.world.view import to_view

    return perceive(np.stack([to_view(Image.frombytes("RGB", size, pixels))]))[0]


class FakeVLM:
    """An OpenAI-compatible server with known probabilities.

    Its P(yes) comes from `answer(images, question)`; other first tokens share `1 - mass`.
    """

    def __init__(self, *, model="fake", vllm=True, answer=None, write=None, mass=0.96, key=None):
        self.model, self.vllm, self.mass, self.key = model, vllm, mass, key
        self.answer = answer or (lambda images, question: 0.5)
        self.write = write or (lambda images, text: "yes")
        self.prefix = []
        """Tokens that it writes before the answer."""
        self.follows_temperature = False
        self.double = False
        """Report probabilities that add up to more than 1."""
        self.finish = "stop"
        self.refusal = None
        self.delay_s = 0.0
        self.requests = []
        self.n_under_way = 0
        self.most_under_way = 0

    async def __call__(self, request: Request) -> Response:
        if self.key and request.headers.get("authorization") != f"Bearer {self.key}":
            return error(401, f"Incorrect API key provided: {request.headers.get('authorization', '')}")
        path = urlsplit(request.path).path
        if path == "/v1/models":
            return as_json({"data": [{"id": self.model}]})
        if path == "/version" and self.vllm:
            return as_json({"version": "fake"})
        if path == "/tokenize" and self.vllm:
            text = request.data["prompt"]
            whole = [VOCABULARY.index(text)] if text in VOCABULARY else [ord(c) for c in text]
            return as_json({"tokens": whole, "count": len(whole), "max_model_len": 4096})
        if path == "/detokenize" and self.vllm:
            return as_json(
                {"prompt": "".join(VOCABULARY[i] if i < len(VOCABULARY) else "" for i in request.data["tokens"])}
            )
        if path != "/v1/chat/completions":
            return error(404, "Not Found")
        if request.data["model"] != self.model:
            return error(404, f"The model `{request.data['model']}` does not exist.", "model_not_found")
        self.requests.append(request.data)
        self.n_under_way += 1
        self.most_under_way = max(self.most_under_way, self.n_under_way)
        try:
            if self.delay_s:
                await asyncio.sleep(self.delay_s)
            return as_json(self._complete(request.data))
        finally:
            self.n_under_way -= 1

    def _complete(self, data):
        images, text = images_and_text(data)
        usage = {"prompt_tokens": 10 + len(text.split()), "completion_tokens": 1}
        if self.refusal:
            message = {"role": "assistant", "content": None, "refusal": self.refusal}
            return {"choices": [{"message": message, "finish_reason": "stop"}], "usage": usage}
        if not data.get("logprobs"):
            p = colour_answer(images, text)
            written = self.write(images, text) if p is None else ("Yes" if p > 0.5 else "No")
            usage["completion_tokens"] = len(written.split())
            return {
                "choices": [{"message": {"role": "assistant", "content": written}, "finish_reason": self.finish}],
                "usage": usage,
            }
        p = colour_answer(images, text)
        p = self.answer(images, text) if p is None else p
        scale = 1.0
        if self.follows_temperature and data["temperature"] > 0:
            scale = 1.0 / data["temperature"]
        unsure = {t: 0.001 * w for t, w in self.distribution(p).items()}
        content = [self._place({**unsure, t: 0.999}, data, 1.0) for t in self.prefix]
        content.append(self._place(self.distribution(p), data, scale))
        written = "".join(self.prefix) + ("Yes" if p > 0.5 else "No")
        message = {"role": "assistant", "content": written}
        choice = {"message": message, "finish_reason": "length", "logprobs": {"content": content}}
        return {"choices": [choice], "usage": usage}

    def distribution(self, p):
        """Probability by text of the answer's token."""
        spread = {t: self.mass * s * (p if t.strip().lower().startswith("y") else 1 - p) for t, s in SHARES.items()}
        rest = {t: 2.0 ** -(i + 1) for i, t in enumerate(FILLER)}
        return spread | {t: (1 - self.mass) * s for t, s in rest.items()}

    def _place(self, distribution, data, scale):
        weights = {t: w**scale for t, w in distribution.items() if w > 0}
        total = sum(weights.values()) * (0.5 if self.double else 1.0)
        logs = {t: min(0.0, math.log(w / total)) for t, w in weights.items()}
        ids = data.get("logprob_token_ids")
        ranked = sorted(logs, key=lambda t: -logs[t])
        best = ranked[0]
        shown = [VOCABULARY[i] for i in ids] if ids else ranked[: data["top_logprobs"]]
        name = (lambda t: f"token_id:{VOCABULARY.index(t)}") if data.get("return_tokens_as_token_ids") else str

        def entry(text):
            return {"token": name(text), "logprob": logs.get(text, -9999.0), "bytes": list(text.encode())}

        return {**entry(best), "top_logprobs": [entry(t) for t in shown]}


# Faults


class FaultProxy:
    """Passes requests on to `upstream` and spoils some.

    Args:
        upstream: `http://HOST:PORT`.
        plan: (number of this chat request from 0, body) -> name of a fault or None.
    """

    FAULTS = ("429", "500", "drop", "cut", "stall", "truncated", "wrong_model", "few_logprobs")

    def __init__(self, upstream: str, plan: Callable[[int, dict], str | None], *, retry_after="0.02") -> None:
        self._host, self._port = urlsplit(upstream).hostname, urlsplit(upstream).port
        self._plan = plan
        self._retry_after = retry_after
        self.n_chat = 0
        self.made = []

    async def __call__(self, request: Request) -> Response:
        fault = None
        if request.path.endswith("/chat/completions"):
            fault = self._plan(self.n_chat, request.data)
            self.n_chat += 1
            self.made.append(fault)
        if fault == "429":
            return error(429, "Too many requests", **{"retry-after": self._retry_after})
        if fault == "500":
            return error(500, "Internal error")
        if fault == "drop":
            raise Drop
        if fault == "stall":
            await asyncio.sleep(60)
        if fault == "wrong_model":
            request.body = json.dumps({**request.data, "model": "another"}).encode()
        response = await self._forward(request)
        if fault == "cut":
            response.send_only = len(response.body) // 2
        if fault == "truncated":
            response.body = response.body[: len(response.body) // 2]
        if fault == "few_logprobs":
            response.body = fewer(response.body)
        return response

    async def _forward(self, request):
        reader, writer = await asyncio.open_connection(self._host, self._port, limit=2**26)
        try:
            kept = {k: v for k, v in request.headers.items() if k not in ("connection", "content-length", "host")}
            lines = "".join(f"{k}: {v}\r\n" for k, v in kept.items())
            head = f"{request.method} {request.path} HTTP/1.1\r\nhost: {self._host}\r\nconnection: close\r\n{lines}"
            writer.write(f"{head}content-length: {len(request.body)}\r\n\r\n".encode() + request.body)
            await writer.drain()
            first, headers = await read_head(reader)
            length = headers.get("content-length")
            body = await (reader.read() if length is None else reader.readexactly(int(length)))
            return Response(int(first.split(" ")[1]), body)
        finally:
            writer.close()


def fewer(body):
    """The reply with all but two candidates of each place left out."""
    data = json.loads(body)
    for place in data["choices"][0]["logprobs"]["content"]:
        place["top_logprobs"] = place["top_logprobs"][:2]
    return json.dumps(data).encode()
