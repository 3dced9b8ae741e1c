"""A byte-level BPE tokenizer of a few hundred tokens with Qwen's special tokens and chat layout."""

import json

SPECIALS = (
    "<|endoftext|>",
    "<|im_start|>",
    "<|im_end|>",
    "<|object_ref_start|>",
    "<|object_ref_end|>",
    "<|box_start|>",
    "<|box_end|>",
    "<|quad_start|>",
    "<|quad_end|>",
    "<|vision_start|>",
    "<|vision_end|>",
    "<|vision_pad|>",
    "<|image_pad|>",
    "<|video_pad|>",
)

CHAT_TEMPLATE = """{%- for m in messages %}{{- '<|im_start|>' + m.role + '\\n' }}
{%- if m.content is string %}{{- m.content }}{%- else %}{%- for c in m.content %}
{%- if c.type == 'image' or 'image' in c or 'image_url' in c %}{{- '<|vision_start|><|image_pad|><|vision_end|>' }}
{%- elif 'text' in c %}{{- c.text }}{%- endif %}{%- endfor %}{%- endif %}{{- '<|im_end|>\\n' }}{%- endfor %}
{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}{%- endif %}"""

_CORPUS = (
    *("Yes", "No", "yes", "no", "YES", "NO"),
    " Yes No yes no YES NO",
    "Is there a red circle on the left of a blue square?",
    "How many objects are there in the image? Answer with Yes or No.",
    "system user assistant You are a strict judge of pictures. Answer only yes or no.",
    "true false A B C D 0 1 2 3 4 5 6 7 8 9",
)

_WORDS = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
"""How Qwen's tokenizer cuts text before merging."""


def _train() -> tuple[dict[str, int], list[tuple[str, str]]]:
    """Vocabulary and merges learnt from the corpus."""
    from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_WORDS), behavior="isolated", invert=False),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    # Sorted: `alphabet()` returns a set in an order that changes from run to run.
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(vocab_size=1024, initial_alphabet=alphabet, special_tokens=[], show_progress=False)
    tokenizer.train_from_iterator(list(_CORPUS) * 20, trainer)
    model = json.loads(tokenizer.to_str())["model"]
    merges = [tuple(m.split(" ")) if isinstance(m, str) else tuple(m) for m in model["merges"]]
    return model["vocab"], merges


def make_tokenizer():
    """A `Qwen2Tokenizer`; every spelling of yes and no in the corpus, and every special token, is one token."""
    from transformers import Qwen2Tokenizer

    vocab, merges = _train()
    tokenizer = Qwen2Tokenizer(
        vocab=vocab,
        merges=merges,
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        unk_token=None,
        extra_special_tokens=list(SPECIALS),
        model_max_length=4096,
    )
    tokenizer.chat_template = CHAT_TEMPLATE
    for text in (*SPECIALS, "Yes", " Yes", "yes", " yes", "YES", "No", " No", "no", " no", "NO"):
        assert len(tokenizer(text, add_special_tokens=False)["input_ids"]) == 1, text
    return tokenizer
