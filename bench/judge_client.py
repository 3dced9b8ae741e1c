"""The client of server judges against a real server: its overhead, and what grouping by image is worth.

    python -m bench.judge_client [--python VLLM-PYTHON | --url http://HOST:PORT/v1 --model NAME] [--json]

(a) Throughput of `openai` at saturation against a bare asyncio client (httpx, bodies encoded beforehand) with the same
questions and the same number under way; the runs alternate, each with images that the server has not seen.
(b) 32 images x 12 questions, image first and grouped by image, against the same questions shuffled over images, one at
a time, on a new connection each; the share of prompt tokens that the server took from its prefix cache for both.

Starts a tiny random Qwen3-VL in vLLM (the interpreter is --python, else the variable UMMBENCH_VLLM_PYTHON) unless --url
names a server. Numbers are ratios of one run on one machine; on a CPU, server and client share the cores.
"""

import argparse
import asyncio
import json
import os
import random
import shutil
import statistics
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

import httpx
import numpy as np
from PIL import Image

from harness.images import ref_of_file
from harness.judges.base import JudgeRequest
from harness.judges.openai import load
from harness.judges.vlm.messages import openai_messages, question_chat
from harness.types import Question
from tests.harness.judges.tiny_vlm import build_tiny_vlm

SCRATCH = Path(tempfile.mkdtemp(prefix="judge-client-"))

COLOURS = ("red", "blue", "green", "yellow", "black", "white")
THINGS = ("square", "circle")


def picture(seed, size):
    """A picture of coarse noise that the server has not seen, in a file as an evaluation has it."""
    pixels = np.random.default_rng(seed).integers(0, 255, (8, 8, 3), dtype=np.uint8)
    file = SCRATCH / f"{seed}.png"
    Image.fromarray(pixels).resize((size, size), Image.Resampling.NEAREST).save(file)
    return ref_of_file(file)


def questions(n):
    texts = [f"Is there a {c} {t} in the picture?" for t in THINGS for c in COLOURS]
    return tuple(Question(id=f"{i}", text=texts[i % len(texts)]) for i in range(n))


def requests(n_images, n_questions, size, seed):
    return [
        JudgeRequest(kind="yesno", form="bench", questions=questions(n_questions), images=(picture(seed + i, size),))
        for i in range(n_images)
    ]


def asked(judge, work):
    """Seconds and cached-token share of one `ask`; every answer must be there."""
    before = (judge.counters.tokens_in, judge.counters.cached_tokens)
    started = time.perf_counter()
    replies = judge.ask(work)
    seconds = time.perf_counter() - started
    lost = [a.error for r in replies for a in r.answers if a.status != "ok"]
    if lost:
        raise SystemExit(f"{len(lost)} questions have no answer: {lost[0]}")
    tokens, cached = (judge.counters.tokens_in - before[0], judge.counters.cached_tokens - before[1])
    return seconds, cached / tokens


def bodies(judge, work):
    """The same requests as encoded bodies, in the order of `work`."""
    found = []
    for request in work:
        for question in request.questions:
            protocol = judge._protocol(request.form, request.temperature)
            chat = question_chat(request, question, protocol.order)
            messages = openai_messages(chat, [protocol.codec.data_url(i) for i in request.images])
            found.append(json.dumps(judge._reading.body(messages)).encode())
    return found


async def bare(url, encoded, concurrency):
    """Seconds for all bodies with `concurrency` workers on one pool of connections."""
    headers = {"content-type": "application/json"}
    waiting = iter(encoded)
    limits = httpx.Limits(max_connections=concurrency, max_keepalive_connections=concurrency)
    async with httpx.AsyncClient(timeout=300, limits=limits, trust_env=False) as client:

        async def work():
            for body in waiting:
                reply = await client.post(f"{url}/chat/completions", content=body, headers=headers)
                reply.raise_for_status()
                reply.json()["choices"][0]["logprobs"]["content"][0]["top_logprobs"]

        started = time.perf_counter()
        await asyncio.gather(*(work() for _ in range(concurrency)))
        return time.perf_counter() - started


def one_at_a_time(url, encoded):
    """Seconds and cached-token share of the bodies one after the other, each on a new connection."""
    tokens = cached = 0
    started = time.perf_counter()
    for body in encoded:
        with httpx.Client(timeout=300, trust_env=False) as client:
            reply = client.post(f"{url}/chat/completions", content=body, headers={"content-type": "application/json"})
            reply.raise_for_status()
        usage = reply.json()["usage"]
        tokens += usage["prompt_tokens"]
        cached += (usage.get("prompt_tokens_details") or {}).get("cached_tokens") or 0
    return time.perf_counter() - started, cached / tokens


def saturation(judge, url, arguments):
    """Part (a): single questions about different images, so that the server's work does not depend on the order."""
    n = arguments.requests
    rates = {"judge": [], "bare": []}
    cpu_s = {"judge": 0.0, "bare": 0.0}
    for round_ in range(arguments.rounds):
        first = arguments.seed + 10_000 * (2 * round_ + 1)
        work = {"judge": requests(n, 1, arguments.size, first)}
        work["bare"] = bodies(judge, requests(n, 1, arguments.size, first + 10_000))
        for who in ("judge", "bare") if round_ % 2 else ("bare", "judge"):
            before = time.process_time()
            if who == "judge":
                seconds, _ = asked(judge, work["judge"])
            else:
                seconds = asyncio.run(bare(url, work["bare"], arguments.concurrency))
            cpu_s[who] += time.process_time() - before
            rates[who].append(n / seconds)
    ratios = [a / b for a, b in zip(rates["judge"], rates["bare"], strict=True)]
    total = {who: 1000 * seconds / (n * arguments.rounds) for who, seconds in cpu_s.items()}
    return {
        "size_px": arguments.size,
        "requests": n,
        "rounds": arguments.rounds,
        "concurrency": arguments.concurrency,
        "judge_per_s": round(statistics.median(rates["judge"]), 2),
        "bare_per_s": round(statistics.median(rates["bare"]), 2),
        "judge_over_bare": round(statistics.median(ratios), 3),
        "judge_over_bare_of_totals": round(sum(1 / r for r in rates["bare"]) / sum(1 / r for r in rates["judge"]), 3),
        "judge_over_bare_all": [round(r, 3) for r in ratios],
        "judge_cpu_ms_per_request": round(total["judge"], 2),
        "bare_cpu_ms_per_request": round(total["bare"], 2),
    }


def grouping(judge, url, arguments):
    """Part (b)."""
    n_images, n_questions = 32, 12
    seconds, share = asked(judge, requests(n_images, n_questions, arguments.size, arguments.seed + 5_000_000))
    shuffled = bodies(judge, requests(n_images, n_questions, arguments.size, arguments.seed + 6_000_000))
    random.Random(0).shuffle(shuffled)
    slow_seconds, slow_share = one_at_a_time(url, shuffled)
    return {
        "size_px": arguments.size,
        "images": n_images,
        "questions": n_questions,
        "grouped_s": round(seconds, 2),
        "shuffled_s": round(slow_seconds, 2),
        "shuffled_over_grouped": round(slow_seconds / seconds, 2),
        "grouped_cached_share": round(share, 3),
        "shuffled_cached_share": round(slow_share, 3),
    }


@contextmanager
def scratch():
    """Removes the pictures in the end."""
    try:
        yield
    finally:
        shutil.rmtree(SCRATCH)


@contextmanager
def server(arguments):
    """Address and model name of the server to measure."""
    if arguments.url:
        yield arguments.url, arguments.model
        return
    from harness.judges.vlm.server import ServerSpec, VllmServer, free_port

    python = arguments.python or os.environ.get("UMMBENCH_VLLM_PYTHON")
    if not python:
        raise SystemExit("Name the interpreter of a vLLM environment with --python or UMMBENCH_VLLM_PYTHON.")
    shim = Path(__file__).parent.parent / "tests/harness/judges/tiny_vlm/cpu_torchvision"
    with tempfile.TemporaryDirectory() as scratch:
        model = build_tiny_vlm(Path(scratch) / "tiny")
        spec = ServerSpec(model=str(model), port=free_port(), dtype="float32", max_model_len=2048, python=python)
        environment = {"PYTHONPATH": str(shim), "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "2"}
        running = VllmServer(spec, Path(scratch) / "server.log", environment)
        running.start()
        try:
            running.wait(timeout_s=900)
            yield spec.base_url, spec.model
        finally:
            running.stop()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--python", help="interpreter of the vLLM environment")
    parser.add_argument("--url", help="a running server")
    parser.add_argument("--model", help="its model")
    parser.add_argument("--size", type=int, default=256, help="side of the pictures in pixels")
    parser.add_argument("--requests", type=int, default=200, help="questions of one round of (a)")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--concurrency", type=int, default=32)
    parser.add_argument("--seed", type=int, default=0, help="of the pictures; change it to reuse a running server")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    with scratch(), server(arguments) as (url, model):
        judge = load(f"{model}@{url},concurrency={arguments.concurrency},timeout_s=300,unverified=true")
        asked(judge, requests(8, 2, arguments.size, arguments.seed))  # self-test and warm-up
        asyncio.run(
            bare(url, bodies(judge, requests(8, 2, arguments.size, arguments.seed + 100)), arguments.concurrency)
        )
        result = {"saturation": saturation(judge, url, arguments), "grouping": grouping(judge, url, arguments)}
        judge.close()
    if arguments.json:
        print(json.dumps(result))
        return
    for name, part in result.items():
        print(name)
        for key, value in part.items():
            print(f"  {key:24} {value}")


if __name__ == "__main__":
    main()
