"""The lm-eval model, the shipped tasks, and run directories that reports compare; all of it without a network."""

import json
import math
import socket

import pytest
import torch
from click.testing import CliRunner

pytest.importorskip("lm_eval", reason="needs the extra lm-eval")

from lm_eval.api.instance import Instance
from lm_eval.api.registry import get_model

from harness.cli.eval_text_command import command
from harness.errors import ConfigError, StoreError
from harness.lmeval import build
from harness.lmeval.evaluate import DEFAULT, TASKS, TextConfig, evaluate_text
from harness.lmeval.model import UmmbenchLM
from harness.lmeval.results import task_result
from harness.models.load import load_policy
from harness.stats import paired_difference
from harness.world.grammar import Spec, satisfies
from harness.world.plan import scene_from_plan
from harness.world.version import world_version
from reports.runs import differences_in_identity, load_run

N = 12
CHOICE = "lm-eval/micro_plan_choice"


@pytest.fixture(scope="module", autouse=True)
def one_thread_and_no_network():
    def refuse(self, address):
        raise AssertionError(f"a connection to {address} was tried")

    before, connect = torch.get_num_threads(), socket.socket.connect
    torch.set_num_threads(1)
    socket.socket.connect = refuse
    yield
    socket.socket.connect = connect
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """The shipped model and a damaged copy, each on the first documents of all shipped tasks."""
    folder = tmp_path_factory.mktemp("text")
    policy = load_policy("micro")
    with torch.no_grad():
        for i, p in enumerate(policy.network.parameters()):
            p.add_(torch.randn(p.shape, generator=torch.Generator().manual_seed(i)), alpha=0.5)
    policy.save_checkpoint(folder / "damaged", {})
    for name, model in (("base", "micro"), ("trained", str(folder / "damaged"))):
        evaluate_text(TextConfig(model=model, limit=N, out=str(folder / name)))
    return folder


def instances(kind, *arguments):
    return [Instance(request_type=kind, doc={}, arguments=a, idx=i) for i, a in enumerate(arguments)]


@pytest.fixture(scope="module")
def model():
    return UmmbenchLM("micro", batch_size=2)


def test_lm_eval_knows_the_model_by_name(model):
    assert get_model("ummbench") is UmmbenchLM
    made = UmmbenchLM.create_from_arg_string("model=micro", {"batch_size": "auto", "device": "cpu"})
    assert made.batch_size == made.policy.batch_size and made.tokenizer_name == model.tokenizer_name
    if not torch.cuda.is_available():  # lm-eval's command line asks for a GPU by default
        assert UmmbenchLM("micro", device="cuda:0").policy.device.type == "cpu"
    with pytest.raises(ConfigError, match="batch_size is 'many'"):
        UmmbenchLM("micro", batch_size="many")


def test_loglikelihood_sums_words_keeps_order_and_does_not_depend_on_the_batch(model):
    asked = [
        ("a red circle <think>", " white background : large red circle cell4 ."),
        ("", "grey background"),
        ("two stars <think> white", " background :"),
        ("a red circle <think>", " black"),
        ("a star", ""),
    ]
    found = model.loglikelihood(instances("loglikelihood", *asked))
    alone = UmmbenchLM(model.policy, batch_size=1)
    for (total, greedy), pair in zip(found, asked, strict=True):
        (score,) = model.side.log_probs([model.side.encode(*pair)])
        assert total == pytest.approx(sum(score.log_probs), abs=1e-5) and greedy == score.is_greedy
        assert alone.loglikelihood(instances("loglikelihood", pair))[0][0] == pytest.approx(total, abs=1e-5)
    assert found[4] == (0.0, True)


def test_truncated_contexts_are_counted(model):
    before = model.n_truncated
    model.loglikelihood(instances("loglikelihood", ("red " * 300, " white"), ("a star", " white")))
    assert model.n_truncated == before + 1


def test_rolling_loglikelihood_adds_windows(model):
    text = "a star <think> " + "white background : large red circle cell4 , " * 12
    short = "white background : ."
    found = model.loglikelihood_rolling(instances("loglikelihood_rolling", (text,), (short,), ("",)))
    parts = [model.side.log_probs([w])[0] for w in model.side.windows(text)]
    assert len(parts) == 2 and found[0] == pytest.approx(sum(sum(p.log_probs) for p in parts), abs=1e-4)
    assert found[1] == pytest.approx(model.loglikelihood(instances("loglikelihood", ("", short)))[0][0], abs=1e-5)
    assert found[2] == 0.0


def test_generation_stops_where_it_is_told(model):
    prompt = "a red circle <think>"
    whole, cut, short = model.generate_until(
        instances("generate_until", (prompt, {"until": []}), (prompt, {"until": [":", "large"]}),
                  (prompt, {"until": ["\n"], "max_gen_toks": 2}))
    )  # fmt: skip
    assert " background: " in whole and whole.endswith(".")
    assert cut == short == whole.split(":")[0]
    sampled = [(prompt, {"do_sample": True, "temperature": 1.0})] * 6
    texts = model.generate_until(instances("generate_until", *sampled))
    assert len(set(texts)) > 1 and texts == model.generate_until(instances("generate_until", *sampled))
    with pytest.raises(ConfigError, match="num_beams are not known"):
        model.generate_until(instances("generate_until", (prompt, {"num_beams": 4})))


def test_results_go_into_lm_evals_cache(model):
    kept = []

    class Hook:
        def add_partial(self, kind, arguments, result):
            kept.append((kind, arguments, result))

    other = UmmbenchLM(model.policy)
    other.set_cache_hook(Hook())
    other.loglikelihood(instances("loglikelihood", ("a star", " white")))
    other.generate_until(instances("generate_until", ("a star", {"until": []})))
    assert [k[0] for k in kept] == ["loglikelihood", "generate_until"] and kept[0][1] == ("a star", " white")


def test_shipped_rows_are_what_the_grammar_makes_and_have_one_right_answer():
    import msgspec

    stored = json.loads((TASKS / "plans.json").read_text())
    assert stored["world"] == world_version() and len(stored["rows"]) == build.N_ROWS
    assert build.rows(3) == stored["rows"][:3]
    for row in stored["rows"]:
        spec = msgspec.json.decode(row["spec"], type=Spec)
        right = [satisfies(scene_from_plan(p.split()), spec) for p in row["plans"]]
        assert len(right) == len(set(row["plans"])) == 4 and right.count(True) == 1 and right[row["answer"]]
        assert len({len(p.split()) for p in row["plans"]}) == 1
        if row["word"] >= 0:
            begun = f"{row['begun']} {row['words'][row['word']]}".split()
            assert row["plans"][row["answer"]].split()[: len(begun)] == begun


def test_a_run_holds_what_reports_read(runs):
    run = load_run(runs / "base", "base")
    assert run.benchmarks == [f"lm-eval/{t}" for t in DEFAULT] and run.summary["complete"]
    cell = run.block(CHOICE)["values"]["acc"]
    terms = run.terms(CHOICE)["acc"]
    assert cell["value"] == terms.num.mean() and cell["n"] == N and cell["n_missing"] == 0
    assert 0 <= cell["ci_low"] < cell["value"] < cell["ci_high"] <= 1 and cell["method"]
    samples = [json.loads(line) for line in (runs / "base" / "samples.jsonl").read_text().splitlines()]
    mine = [s for s in samples if s["benchmark"] == CHOICE]
    assert [s["metrics"]["acc"] for s in mine] == terms.num.tolist() and tuple(s["id"] for s in mine) == terms.prompts
    scores = [json.loads(line) for line in (runs / "base" / "scores.jsonl").read_text().splitlines()]
    assert (
        sum(s["value"] for s in scores if s["key"]["benchmark"] == CHOICE and s["metric"] == "acc") == terms.num.sum()
    )
    prompts = [json.loads(line) for line in (runs / "base" / "prompts.jsonl").read_text().splitlines()]
    assert prompts[0]["text"].endswith("<think>") and {p["benchmark"] for p in prompts} == set(run.benchmarks)


def test_the_accuracy_is_a_choice_by_log_likelihood(runs, model):
    rows = json.loads((TASKS / "plans.json").read_text())["rows"][:N]
    right = []
    for row in rows:
        pairs = [(f"{row['prompt']} <think>", f" {plan}") for plan in row["plans"]]
        totals = [t for t, _ in model.loglikelihood(instances("loglikelihood", *pairs))]
        right.append(float(totals.index(max(totals)) == row["answer"]))
    assert load_run(runs / "base").terms(CHOICE)["acc"].num.tolist() == right


def test_likelihood_is_the_right_plans_own(runs, model):
    rows = json.loads((TASKS / "plans.json").read_text())["rows"][:N]
    plans = [r["plans"][r["answer"]] for r in rows]
    pairs = [(f"{r['prompt']} <think>", f" {p} <eos>") for r, p in zip(rows, plans, strict=True)]
    totals = [t for t, _ in model.loglikelihood(instances("loglikelihood", *pairs))]
    terms = load_run(runs / "base").terms("lm-eval/micro_plan_likelihood")["nats_per_word"]
    expected = [t / (len(p.split()) + 1) for t, p in zip(totals, plans, strict=True)]
    assert terms.num == pytest.approx(expected, abs=1e-5) and math.isinf(terms.lo)


def test_base_and_trained_are_compared_document_by_document(runs):
    base, trained = load_run(runs / "base", "base"), load_run(runs / "trained", "trained")
    for benchmark in base.benchmarks:
        assert differences_in_identity(base, trained, benchmark) == []
        metric = base.block(benchmark)["headline"][0]
        x, y = trained.terms(benchmark)[metric], base.terms(benchmark)[metric]
        assert x.prompts == y.prompts
        found = paired_difference(x.num, y.num, x.cat, x.weights, den_x=x.den, den_y=y.den, step=x.step)
        assert found.low <= found.est <= found.high and found.n_prompts == N
    written = [r.terms("lm-eval/micro_plan_write")["well_formed"].num.mean() for r in (base, trained)]
    assert written[0] == 1.0 and written[1] < written[0]


def test_repeating_gives_the_same_and_other_settings_are_refused(runs, tmp_path):
    config = TextConfig(limit=3, tasks=["micro_plan_cloze"], out=str(tmp_path / "a"))
    evaluate_text(config)
    first = {f: (tmp_path / "a" / f).read_bytes() for f in ("summary.json", "terms.json", "samples.jsonl")}
    evaluate_text(config)
    assert first == {f: (tmp_path / "a" / f).read_bytes() for f in first}
    with pytest.raises(StoreError, match="limit: there 3, now 4"):
        evaluate_text(TextConfig(limit=4, tasks=["micro_plan_cloze"], out=str(tmp_path / "a")))


def test_an_own_task_with_perplexity(tmp_path):
    (tmp_path / "own_data.py").write_text(
        "def load(**_):\n    from datasets import Dataset\n"
        "    return {'test': Dataset.from_list([{'text': 'white background : .'}, "
        "{'text': 'grey background : large red star cell4 .'}])}\n"
    )
    (tmp_path / "own.yaml").write_text(
        "task: own_plans\ncustom_dataset: !function own_data.load\noutput_type: loglikelihood_rolling\n"
        'test_split: test\ndoc_to_text: ""\ndoc_to_target: "{{text}}"\n'
        "metric_list:\n  - metric: bits_per_byte\n  - metric: word_perplexity\nmetadata: {version: 1}\n"
    )
    config = TextConfig(tasks=["own_plans"], task_dirs=[str(tmp_path)], out=str(tmp_path / "run"))
    values = evaluate_text(config)["benchmarks"]["lm-eval/own_plans"]["values"]
    terms = load_run(tmp_path / "run").terms("lm-eval/own_plans")
    assert list(terms) == ["bits_per_byte"] and terms["bits_per_byte"].den.tolist() == [20.0, 40.0]
    assert values["bits_per_byte"]["value"] == pytest.approx(terms["bits_per_byte"].num.sum() / 60)
    assert values["bits_per_byte"]["higher_is_better"] is False and not terms["bits_per_byte"].higher_is_better
    assert values["word_perplexity"]["ci_low"] is None and "not a mean" in values["word_perplexity"]["method"]


def test_a_mean_that_lm_eval_computes_otherwise_is_an_error():
    from harness.errors import DataError

    sample = {"doc_id": 0, "filter": "none", "acc": 1.0, "doc_hash": "", "prompt_hash": "", "target_hash": "",
              "arguments": [["", ""]]}  # fmt: skip
    output = {"samples": {"t": [sample]}, "results": {"t": {"alias": "t", "acc,none": 0.5, "acc_stderr,none": "N/A"}},
              "configs": {"t": {}}, "versions": {"t": 1}, "n-shot": {"t": 0}}  # fmt: skip
    with pytest.raises(DataError, match=r"t: acc is 0\.5 by lm-eval"):
        task_result("t", output)
    output["results"]["t"]["acc,none"] = 1.0
    assert math.isclose(task_result("t", output).block["values"]["acc"]["value"], 1.0)


def test_the_command_prints_a_summary_and_offers_near_names(tmp_path, monkeypatch):
    arguments = ["micro", "-t", "micro_plan_cloze", "--limit", "2", "--threads", "1", "--device", "cpu"]
    done = CliRunner().invoke(command, [*arguments, "-o", str(tmp_path / "r"), "--json"], standalone_mode=False)
    assert done.return_value == 0 and done.exception is None
    assert json.loads(done.stdout)["benchmarks"]["lm-eval/micro_plan_cloze"]["n_prompts"] == 2
    monkeypatch.setattr("lm_eval.tasks.TaskManager", _Small)
    failed = CliRunner().invoke(command, ["micro", "-t", "micro_plan_chioce"])
    assert isinstance(failed.exception, ConfigError) and "Did you mean 'micro_plan_choice'" in str(failed.exception)


class _Small:
    """Stands for the index of thousands of tasks, which takes seconds to build."""

    def __init__(self, **_):
        self.all_tasks = list(DEFAULT)
