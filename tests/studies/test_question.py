"""A question in YAML: read, checked, and refused where it cannot be asked."""

import dataclasses
import math

import optuna
import pytest
import yaml

from lab.losses import INPAINT_SANET_WEIGHTS
from lab.parsing import SettingsError
from lab.studies import Pruning, Question, Search, read_question
from lab.studies.question import short_names
from tests.tiny import PROJECT

SWEEPS = PROJECT / "sweeps"

SMALL = {
    "question": "Which?",
    "goal": "hole_psnr",
    "search": {"data.size": {"low": 32, "high": 64, "whole": True}},
}


GRID = {"a": {"choices": [1, 2]}, "b": {"choices": [3, 4]}}


def read(tmp_path, content):
    text = content if isinstance(content, str) else yaml.safe_dump(content)
    (tmp_path / "asked.yaml").write_text(text)
    return read_question("asked", tmp_path)


def test_a_short_question_takes_the_defaults(tmp_path):
    question = read(tmp_path, SMALL)
    assert question.goals == ["hole_psnr"]
    assert question.search == {"data.size": Search(low=32, high=64, whole=True)}
    assert (question.base, question.first, question.sampler) == ({}, [], "tpe")
    assert question.pruning == Pruning()
    left_empty = dict.fromkeys(("trials", "epochs", "seeds", "first", "sampler"))
    assert read(tmp_path, SMALL | left_empty) == question
    assert question.trials >= 1


def test_a_whole_question_is_read(tmp_path):
    question = read(
        tmp_path,
        """
        question: Which weights?
        goal: [hole_psnr, hole_l1]
        search:
          model.objective.weights.hole_l1: {low: 0.5, high: 4, log: true, also: [a.b, c.d]}
          fit.precision: {choices: [float32, bfloat16]}
          data.samples_per_epoch: {choices: [8, null]}
        first:
          - model.objective.weights.hole_l1: 2
            fit.precision: float32
        trials: 5
        epochs: 3
        sampler: random
        pruning: {keep_share: 0.25, startup_trials: 1, warmup_epochs: 0}
        base:
          data: {size: 64}
          model.network.width: 8
        """,
    )
    assert question.directions == ["maximize", "minimize"]
    assert question.search["model.objective.weights.hole_l1"].also == ["a.b", "c.d"]
    assert question.search["data.samples_per_epoch"].choices == [8, None]
    assert question.first[0]["model.objective.weights.hole_l1"] == 2
    assert question.base == {"data": {"size": 64}, "model.network.width": 8}
    assert question.pruning == Pruning(keep_share=0.25, startup_trials=1, warmup_epochs=0)
    assert question.options_for({"model.objective.weights.hole_l1": 3.0}) == {
        "model.objective.weights.hole_l1": 3.0,
        "a.b": 3.0,
        "c.d": 3.0,
    }


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"goal": "hole_pnsr"}, "no metric is called 'hole_pnsr'. Did you mean 'hole_psnr'"),
        ({"goal": ["hole_psnr", "beauty"]}, "no metric is called 'beauty'"),
        ({"goal": []}, "needs a goal"),
        ({"goal": None}, "goal"),
        ({"search": {}}, "something to search"),
        ({"search": {"data.size": {"low": 2, "high": 1}}}, "low < high, not 2.* and 1"),
        ({"search": {"data.size": {"low": 2}}}, "low < high"),
        ({"search": {"data.size": {"low": 1, "high": "many"}}}, "high"),
        ({"search": {"data.size": {"choices": []}}}, "non-empty list of choices"),
        ({"search": {"data.size": {"choices": [1], "low": 0}}}, "low and high, or"),
        ({"search": {"data.size": {"low": 0, "high": 1, "log": True}}}, "begin above 0"),
        ({"search": {"data.size": {"low": 1, "hihg": 2}}}, "hihg"),
        ({"search": "data.size"}, "search"),
        ({"first": [{"data.sise": 32}]}, "no searched option .* Did you mean 'data.size'"),
        ({"trials": 0}, r"trials \(0\)"),
        ({"trials": "many"}, "trials"),
        ({"epochs": 0}, r"epochs \(0\)"),
        ({"sampler": "grd"}, "'grid'"),
        ({"sampler": "grid"}, "grid sampler needs choices"),
        ({"search": GRID, "first": [{"a": 3, "b": 3}]}, "a the value 3, but its choices are"),
        ({"search": GRID, "first": [{"a": 1}], "sampler": "grid"}, "first leaves out b, of which"),
        ({"first": [{"data.size": "large"}]}, "the value 'large', but it is a number"),
        ({"first": [{"data.size": 40.5}]}, "the value 40.5, but it is a whole number"),
        ({"search": {"data.size": {"low": 1.5, "high": 3, "whole": True}}}, "whole low and high"),
        ({"pruning": {"keep_share": 1.0}}, r"keep_share must lie in \(0, 1\)"),
        ({"pruning": {"keep": 0.5}}, "keep"),
        ({"trails": 3}, "trails"),
        ({"baselines": ["teela"]}, "no method is called 'teela'. Did you mean 'telea'"),
    ],
    ids=str,
)
def test_a_question_that_cannot_be_asked_says_why_and_where(tmp_path, changes, message):
    content = {key: value for key, value in {**SMALL, **changes}.items() if value is not None}
    with pytest.raises(SettingsError, match=message) as error:
        read(tmp_path, content)
    assert "asked.yaml" in str(error.value)


@pytest.mark.parametrize(
    "content",
    [
        *("", "- a\n- b\n", "question: [", "just words", "1: 2", "\x1b[2J: 1"),
        *("[" * 5000, "question: &a [*a]", "question: !!python/name:os.system"),
        "".join(f"a{n}: &a{n} [{','.join([f'*a{n - 1}' if n else 'x'] * 9)}]\n" for n in range(9)),
    ],
    ids=range(10),
)
def test_a_file_that_is_no_question_is_refused(tmp_path, content):
    with pytest.raises(SettingsError, match=r"asked\.yaml") as error:
        read(tmp_path, content)
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 500


ASKED = {
    "question": "?",
    "goal": "hole_ssim",
    "search": {
        "model.objective.adversarial_kind": {"choices": ["hinge", "wasserstein"]},
        "data.samples_per_epoch": {
            "choices": [4000],
            "when": {"model.objective.adversarial_kind": ["wasserstein"]},
        },
        "data.size": {"choices": [64], "also": ["data.other"]},
    },
    "first": [{"model.objective.adversarial_kind": "hinge", "data.size": 64}],
    "sampler": "grid",
}


def test_a_setting_goes_on_top_of_what_all_trials_share(tmp_path):
    question = read(tmp_path, yaml.safe_dump(ASKED, sort_keys=False))
    given = question.with_settings({"data.size": 32, "data.samples_per_epoch": 16, "fit.epochs": 1})
    assert given.first == [{"model.objective.adversarial_kind": "hinge", "data.size": 32}]
    assert given.combinations == [
        {"model.objective.adversarial_kind": "hinge", "data.size": 32},
        {
            "model.objective.adversarial_kind": "wasserstein",
            "data.samples_per_epoch": 16,
            "data.size": 32,
        },
    ]
    assert question.with_settings({"fit.epochs": 1}) == question


@pytest.mark.parametrize("path", ["model.objective.adversarial_kind", "data.other"])
def test_a_setting_that_is_varied_is_refused(tmp_path, path):
    with pytest.raises(ValueError, match=f"{path} is what this question varies"):
        read(tmp_path, yaml.safe_dump(ASKED, sort_keys=False)).with_settings({path: "log"})


def test_a_missing_question_names_the_nearest(tmp_path):
    with pytest.raises(SettingsError, match=r"'los_weights'\. Did you mean 'loss_weights'"):
        read_question("los_weights", SWEEPS)
    with pytest.raises(SettingsError, match="no sweep is called 'x'"):
        read_question("x", tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("space", "fits"),
    [
        (Search(low=0.5, high=2.0), lambda v: isinstance(v, float) and 0.5 <= v <= 2.0),
        (Search(low=1e-5, high=0.1, log=True), lambda v: 1e-5 <= v <= 0.1),
        (Search(low=8, high=16, whole=True), lambda v: isinstance(v, int) and 8 <= v <= 16),
        (Search(choices=["a", None, 3]), lambda v: v in ("a", None, 3)),
    ],
)
def test_drawn_values_lie_in_their_space(space, fits):
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    drawn = [space.suggest(study.ask(), "x") for _ in range(50)]
    assert all(fits(value) for value in drawn)
    assert len(set(drawn)) >= 3
    assert all(fits(value) for value in space.extremes)
    if space.choices is None:
        assert space.extremes == [space.low, space.high]
    if space.log:
        # Evenly by order of magnitude: as many below the geometric middle as above.
        below = sum(math.log(value) < math.log(1e-3) for value in drawn)
        assert 12 <= below <= 38


def test_short_names_are_the_shortest_that_differ():
    assert short_names(["a.b.c", "a.b.d"]) == {"a.b.c": "c", "a.b.d": "d"}
    assert short_names(["a.x.c", "b.y.c"]) == {"a.x.c": "x.c", "b.y.c": "y.c"}
    assert short_names(["size"]) == {"size": "size"}


def test_pruning_states_its_rule():
    with pytest.raises(ValueError, match="keep_share"):
        Question("?", {"a": Search(low=0, high=1)}, "hole_psnr", pruning=Pruning(keep_share=0.0))


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("loss_weights", {"adversarial", "feature_matching", "hole_ssim"}),
        (
            "documented_weights",
            {"hole_l1", "known_l1", "coarse_hole_l1", "adversarial", "ms_ssim", "feature_matching"},
        ),
    ],
)
def test_the_questions_about_weights_begin_with_the_documented_ones(name, wanted):
    question = read_question(name, SWEEPS)
    prefix = "model.objective.weights."
    varied = {path.removeprefix(prefix) for path in question.search}
    assert wanted <= varied
    for path, value in question.options_for(question.first[0]).items():
        assert value == getattr(INPAINT_SANET_WEIGHTS, path.removeprefix(prefix)), path
    assert question.first[0].keys() == question.search.keys()


CONDITIONAL = """
question: Which?
goal: hole_psnr
search:
  model.network.gate: [sigmoid, gct, both]
  model.network.gct_norm: {choices: [l1, l2], when: {model.network.gate: [gct, both]}}
  model.network.width: {low: 8, high: 16, whole: true, when: {model.network.gct_norm: l2}}
"""


def test_an_option_is_varied_only_where_its_condition_holds(tmp_path):
    question = read(tmp_path, CONDITIONAL)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    drawn = [question.draw(study.ask()) for _ in range(40)]
    for values in drawn:
        gated = values["model.network.gate"] != "sigmoid"
        assert ("model.network.gct_norm" in values) == gated
        assert ("model.network.width" in values) == (values.get("model.network.gct_norm") == "l2")
    assert {frozenset(values) for values in drawn} == {
        frozenset(list(question.search)[:count]) for count in (1, 2, 3)
    }
    # What must be buildable: every gate, and what hangs on it.
    assert {values["model.network.gate"] for values in question.extremes} == {
        "sigmoid",
        "gct",
        "both",
    }


def test_a_grid_leaves_out_what_is_not_varied(tmp_path):
    text = CONDITIONAL.replace("{low: 8, high: 16, whole: true, when", "{choices: [8, 16], when")
    question = read(tmp_path, text + "sampler: grid\n")
    assert len(question.combinations) == 1 + 2 * (1 + 2)
    assert question.trials == 7
    assert {"model.network.gate": "sigmoid"} in question.combinations


def test_a_plain_list_is_a_list_of_choices(tmp_path):
    question = read(tmp_path, {**SMALL, "search": {"fit.precision": ["float32", "bfloat16"]}})
    assert question.search["fit.precision"] == Search(choices=["float32", "bfloat16"])


def test_a_question_lies_anywhere(tmp_path):
    path = tmp_path / "deep" / "mine.yaml"
    path.parent.mkdir()
    path.write_text(yaml.safe_dump(SMALL))
    assert read_question(str(path), SWEEPS).question == "Which?"
    with pytest.raises(SettingsError, match=r"mine2\.yaml is no file"):
        read_question(str(path.with_name("mine2.yaml")), SWEEPS)


@pytest.mark.parametrize(
    ("line", "replacement", "said"),
    [
        (
            2,
            "gaol: hole_psnr",
            r"line 2: no key of a question .* 'gaol'. Did you mean 'goal'",
        ),
        (4, "  data.size: {low: 32, hihg: 64}", r"line 4: .* called 'hihg'. Did you mean 'high'"),
        (4, "  data.size: {low: 32, high: many}", r"line 4: data.size: high must be .*, not many"),
        (4, "  data.size: 32", "line 4: data.size must be varied over a range"),
        (4, "  data.size: {low: 64, high: 32}", "line 4: data.size: a range needs low < high"),
        (5, "epochs: two", "line 5: epochs must be a whole number, not two"),
        (5, "sampler: tpee", r"line 5: sampler must be tpe, random or grid, not tpee. Did you m"),
        (5, "pruning: {kep_share: 0.5}", "line 5: .* 'kep_share'. Did you mean 'keep_share'"),
        (5, "goal: hole_ssim", "line 5: goal stands twice; it first stands in line 2"),
        (5, "first: [{data.size: 48}, {data.sise: 32}]", "no searched option .* 'data.size'"),
    ],
)
def test_a_mistake_is_named_with_its_line(tmp_path, line, replacement, said):
    lines = ["question: Which?", "goal: hole_psnr", "search:", "  data.size: [32, 64]", "epochs: 2"]
    lines[line - 1] = replacement
    with pytest.raises(SettingsError, match=said) as error:
        read(tmp_path, "\n".join(lines))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("when", "said"),
    [
        ({"model.network.gate": "gct"}, "is not searched before it"),
        ({"data.size": 48}, r"but data.size is one of \[32, 64\]"),
        ({"data.size": []}, "but data.size is one of"),
    ],
)
def test_a_condition_that_never_holds_is_refused(tmp_path, when, said):
    search = {"data.size": [32, 64], "fit.precision": {"choices": ["float32"], "when": when}}
    with pytest.raises(SettingsError, match=said):
        read(tmp_path, {**SMALL, "search": search})


def test_a_first_trial_gives_no_value_to_what_is_not_varied(tmp_path):
    first = "first: [{model.network.gate: sigmoid, model.network.gct_norm: l1}]\n"
    with pytest.raises(
        SettingsError, match=r"it is varied only when model\.network\.gate is gct or"
    ):
        read(tmp_path, CONDITIONAL + first)


def test_every_key_is_on_the_page_of_the_grammar():
    page = (PROJECT / "docs" / "questions.md").read_text()
    for kind in (Question, Search, Pruning):
        for field in dataclasses.fields(kind):
            assert f"`{field.name}" in page or f"{field.name}:" in page, field.name


@pytest.mark.parametrize(
    ("seeds", "trains", "said"),
    [(0, True, "seeds must be 1 or more, not 0"), (3, False, "this question trains nothing")],
)
def test_seeds_that_make_no_sense_are_refused(seeds, trains, said):
    with pytest.raises(ValueError, match=said):
        Question(
            question="?",
            search={"x": Search(low=0.0, high=1.0)},
            goal="hole_psnr",
            seeds=seeds,
            trains=trains,
        )
