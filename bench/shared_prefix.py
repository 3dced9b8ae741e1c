"""In-process scoring with a shared image prefix against one forward pass per question.

    python -m bench.shared_prefix [--images 6] [--questions 12] [--size 512] [--hidden 256] [--layers 6] [--json]

A random Qwen3-VL (text part: --hidden, --layers; vision part: 2 layers of 64) answers the same questions about the same
pictures both ways, in alternating rounds: (a) pictures, system text and the questions' common words once per picture,
then all questions in one batch; (b) each question's whole prompt by itself, pictures included. Reading and cutting the
pictures into patches is done once for both and not timed. Prints times, their ratio, the tokens run through the model,
and the largest difference of P(yes). Ratios of one run on one machine.
"""

import argparse
import json
import os
import statistics
import tempfile
import time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from PIL import Image

from harness.images import ref_of_image
from harness.judges.base import JudgeRequest
from harness.judges.vlm.messages import question_chat
from harness.judges.vlm.transformers_load import load_model
from harness.judges.vlm.transformers_prefix import first_log_probs, n_tokens_run
from harness.judges.vlm.transformers_prompt import encode_chat, encode_pictures
from harness.judges.vlm.yesno import p_yes_exact, spellings
from harness.types import Question
from tests.harness.judges.tiny_vlm import build_tiny_vlm

TEXTS = [
    f"Is there a {colour} {thing} in the picture?"
    for colour in ("red", "blue", "green", "yellow", "black", "white")
    for thing in ("square", "circle on the left of a triangle")
]


def prompts_of(loaded, seed, size, n_questions):
    """Token ids of each question about one picture, and its patches."""
    pixels = np.random.default_rng(seed).integers(0, 255, (8, 8, 3), dtype=np.uint8)
    ref = ref_of_image(Image.fromarray(pixels).resize((size, size), Image.Resampling.NEAREST))
    questions = [Question(id=str(i), text=TEXTS[i % len(TEXTS)]) for i in range(n_questions)]
    request = JudgeRequest(kind="yesno", form="bench", questions=tuple(questions), images=(ref,))
    pictures = encode_pictures(loaded, [ref.load()])
    return [encode_chat(loaded, question_chat(request, q), pictures, {}) for q in questions], pictures


def score(loaded, work, tokens, *, share):
    """Seconds, and P(yes) of every question."""
    wanted = [*tokens.yes, *tokens.no]
    started = time.perf_counter()
    rows = [first_log_probs(loaded, prompts, pictures, wanted, share=share) for prompts, pictures in work]
    seconds = time.perf_counter() - started
    n = len(tokens.yes)
    return seconds, [p_yes_exact(r[:n], r[n:], how="logits").value for row in rows for r in row.tolist()]


def measure(options):
    with tempfile.TemporaryDirectory() as folder:
        model = build_tiny_vlm(Path(folder) / "model", hidden=options.hidden, layers=options.layers)
        loaded = load_model(str(model), dtype="float32", device="cpu")
    tokens = spellings(lambda i: loaded.tokenizer.decode([i]), len(loaded.tokenizer))
    work = [prompts_of(loaded, seed, options.size, options.questions) for seed in range(options.images)]
    times = {True: [], False: []}
    values = {}
    score(loaded, work[:1], tokens, share=True)  # warm-up
    for _ in range(options.rounds):
        for share in (True, False):
            seconds, values[share] = score(loaded, work, tokens, share=share)
            times[share].append(seconds)
    place = loaded.model.config.image_token_id
    shared, alone = (statistics.median(times[s]) for s in (True, False))
    return {
        "images": options.images,
        "questions": options.questions,
        "size_px": options.size,
        "parameters": sum(p.numel() for p in loaded.model.parameters()),
        "prompt_tokens": len(work[0][0][0]),
        "shared_s": round(shared, 3),
        "per_question_s": round(alone, 3),
        "ratio": round(alone / shared, 2),
        "ratio_rounds": [round(b / a, 2) for a, b in zip(times[True], times[False], strict=True)],
        "tokens_shared": sum(n_tokens_run(p, place) for p, _ in work),
        "tokens_per_question": sum(len(x) for p, _ in work for x in p),
        "max_difference": max(abs(a - b) for a, b in zip(values[True], values[False], strict=True)),
        "p_yes_range": [round(min(values[True]), 3), round(max(values[True]), 3)],
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("images", 6), ("questions", 12), ("size", 512), ("hidden", 256), ("layers", 6)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    result = measure(options)
    if options.json:
        print(json.dumps(result))
        return
    print(
        f"{result['parameters']:,} parameters, {result['images']} images of {result['size_px']} px x "
        f"{result['questions']} questions, prompts of about {result['prompt_tokens']} tokens\n"
        f"shared prefix      {result['shared_s']:8.3f} s  {result['tokens_shared']:8,} tokens\n"
        f"pass per question  {result['per_question_s']:8.3f} s  {result['tokens_per_question']:8,} tokens\n"
        f"ratio              {result['ratio']:8.2f}    (rounds: {result['ratio_rounds']})\n"
        f"largest difference of P(yes): {result['max_difference']:.1e}, values from {result['p_yes_range'][0]} to "
        f"{result['p_yes_range'][1]}"
    )


if __name__ == "__main__":
    main()
