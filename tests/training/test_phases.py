"""What trains when: exactly the named parts move, by the phase's weights and rates."""

from itertools import pairwise

import pytest
import torch
from torch import nn

from lab.layers import GatedChannelTransformation
from lab.networks import InpaintSANet, MIGANDiscriminator, load_network
from lab.parsing import SettingsError
from lab.results import open_run
from lab.training import Judges, Optimization, Phase
from lab.training.judges import JudgedPair, judge_both
from lab.training.parts import find_part, let_move
from tests.tiny import fit_tiny, tiny_experiment
from tests.toys import Judge, fit


def moved(before, after):
    """The parts whose tensors differ: the first two words of their names."""
    return {
        ".".join(name.split(".")[:2])
        for name, tensor in before.items()
        if not torch.equal(tensor, after[name])
    }


NETWORK = {"network.edges", "network.encoder", "network.decoder"}
WHOLE, LOCAL, EDGES = "judges.whole", "judges.local", "judges.edges"

SHAPES = {
    # Global & Local: the network alone, the judges alone, both.
    "global_and_local": (
        {"adversarial": 0.1, "local_adversarial": 0.1},
        [
            Phase(1, ("network",), weights={"adversarial": 0.0, "local_adversarial": 0.0}),
            Phase(1, ("judges",)),
            Phase(1),
        ],
        [NETWORK, {WHOLE, LOCAL}, NETWORK | {WHOLE, LOCAL}],
    ),
    # EdgeConnect: edges and their judge, the painting and its judge, both generators.
    "edge_connect": (
        {"adversarial": 0.1, "edges_adversarial": 1.0, "edges_feature_matching": 10.0},
        [
            Phase(1, ("network.edges", EDGES), weights={"hole_l1": 0.0, "adversarial": 0.0}),
            Phase(
                1,
                ("network.encoder", "network.decoder", WHOLE),
                weights={"edges_adversarial": 0.0, "edges_feature_matching": 0.0},
            ),
            Phase(1, ("network", WHOLE), weights={"edges_adversarial": 0.0}),
        ],
        [
            {"network.edges", EDGES},
            {"network.encoder", "network.decoder", WHOLE},
            NETWORK | {WHOLE},
        ],
    ),
    # PConv and RFR: fine-tuning at a lower rate, statistics kept.
    "fine_tuning": (
        {},
        [Phase(1), Phase(1, keeps_statistics=("network.encoder",), generator_learning_rate=1e-3)],
        [NETWORK, NETWORK],
    ),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_exactly_the_named_parts_move(shape):
    weights, phases, expected = SHAPES[shape]
    _, states, _, _ = fit(phases, weights=weights)
    found = [moved(*pair) for pair in pairwise(states)]
    assert found == expected


def test_statistics_are_kept_where_asked_and_scales_go_on_training():
    _, phases, _ = SHAPES["fine_tuning"]
    _, (_, first, second), _, rates = fit(phases)
    for part, kept in (("encoder", True), ("decoder", False)):
        for name in ("running_mean", "running_var", "num_batches_tracked"):
            path = f"network.{part}.1.{name}"
            assert torch.equal(first[path], second[path]) == kept
        scale = f"network.{part}.1.weight"
        assert not torch.equal(first[scale], second[scale])
    assert [rate for (rate,) in rates] == [0.01, 1e-3, 1e-3, 1e-3]  # as the next step finds it


def test_values_of_a_phase_that_ended_are_not_logged_on():
    weights, phases, _ = SHAPES["global_and_local"]
    _, _, logged, _ = fit(phases, weights=weights)
    first, second, third = logged[1], logged[3], logged[5]
    of_network = {"total", "hole_l1", "update/network"}
    assert set(first) == of_network
    of_judges = {
        f"{judge}{what}"
        for judge in ("", "local_")
        for what in ("discriminator", "real_logit", "fake_logit")
    } | {"update/judges"}
    assert set(second) == of_judges
    assert set(third) == of_judges | of_network | {"adversarial", "local_adversarial"}


def test_each_phase_has_its_own_schedule_and_the_last_goes_on_at_its_last_rate():
    phases = [Phase(2), Phase(2, generator_learning_rate=0.1)]
    cosine = Optimization(0.01, 0.01, schedule="cosine")
    _, _, _, rates = fit(phases, epochs=6, optimization=cosine)
    found = [rate for (rate,) in rates]
    # Two steps an epoch; a rate is noted after the schedule has stepped.
    assert found[3] == pytest.approx(0.1)
    assert found[:3] == sorted(found[:3], reverse=True)
    assert found[7:] == pytest.approx([0.001] * 5)


def test_judges_may_train_on_more_batches_than_the_network():
    eager = Optimization(0.01, 0.01, judge_steps=2)
    weights = {"adversarial": 1.0}
    module, _, logged, _ = fit(
        [Phase(2)], weights=weights, optimization=eager,
        adversarial_kind="wasserstein", gradient_penalty=10.0,
    )  # fmt: skip
    assert ["total" in step for step in logged] == [False, True, False, True]
    assert all("discriminator" in step and "gradient_penalty" in step for step in logged)
    assert len(module.trainer.optimizers) == 2


def test_where_the_judges_stay_as_they_are_it_is_always_the_networks_turn():
    eager = Optimization(0.01, 0.01, judge_steps=5)
    weights = {"hole_l1": 1.0, "adversarial": 1.0}
    _, _, logged, _ = fit([Phase(2, ("network",))], weights=weights, optimization=eager)
    assert all("hole_l1" in step for step in logged)


class Comparing(Judge):
    compares_photos = True


def test_a_judge_that_compares_photos_sees_real_and_fake_apart():
    for judge, expected in (
        (Judge, 4),
        (lambda size: Judge(size, normalized=True), 2),
        (Comparing, 2),
    ):
        judges = Judges(whole=judge)
        module, _, _, _ = fit([Phase(1, ("judges",))], weights={"adversarial": 1.0}, judges=judges)
        assert set(module.judges["whole"].batches) == {expected}


def test_mi_gans_judge_tells_a_generator_whose_answers_are_all_alike():
    judge = MIGANDiscriminator(size=16, width=16, branches=0)
    seen = []
    judge.merging.register_forward_pre_hook(lambda _, given: seen.append(given[0][:, -1].mean()))
    real = torch.rand(4, 3, 16, 16)
    fake = real[:1].repeat(4, 1, 1, 1)
    judge_both(
        judge, JudgedPair(lambda image: judge(image, torch.ones_like(image[:, :1])), fake, real)
    )
    of_real, of_fake = seen
    assert of_fake < 0.1 * of_real


@pytest.mark.parametrize(
    ("phases", "said"),
    [
        ([Phase(), Phase(1)], "phase 1 of 2 lasts to the end"),
        ([], "model.phases is empty"),
        ([Phase(1, ("network.edge",))], "'network.edges'"),
        ([Phase(1, ("judges.whol",))], "part to train"),
    ],
)
def test_phases_that_cannot_be_followed_are_refused(phases, said):
    with pytest.raises(ValueError, match=said):
        fit(phases, epochs=1)


@pytest.mark.parametrize(
    ("option", "rule"),
    [
        ("[{epochs: 0}]", "at least 1 epoch"),
        ("[{epochs: 1, trains: []}]", "trains nothing"),
        ("[{epochs: 1, weights: {hole_l11: 1.0}}]", "hole_l1"),
        ("[{epochs: 1, generator_learning_rate: 2}]", "between 0 and 1"),
    ],
)
def test_settings_out_of_range_are_refused(option, rule):
    with pytest.raises(SettingsError, match=rule):
        tiny_experiment(f"--model.phases={option}")


def test_a_training_that_ends_before_its_last_phase_says_so():
    with pytest.warns(UserWarning, match="ends after 1 epochs.*phases begins after 2"):
        fit([Phase(2), Phase(1)], epochs=1)


GATED = ("--model.network.gate=both", "--data.validation_photos=1")


def states(folder):
    """The network after each epoch, by number."""
    return {
        int(path.stem.removeprefix("epoch-")): load_network(path)
        for path in sorted((folder / "checkpoints").glob("epoch-*.pt"))
    }


def moved_tensors(before, after):
    return {
        name
        for name, tensor in before.state_dict().items()
        if not torch.equal(tensor, after.state_dict()[name])
    }


def of_type(network, kind):
    """The names of every tensor that belongs to a module of a type."""
    return {
        f"{path}.{name}"
        for path, module in network.named_modules()
        if isinstance(module, kind)
        for name in module.state_dict()
    }


def test_first_only_the_channel_gates_move_then_everything(tmp_path):
    start, warm = tmp_path / "start", tmp_path / "warm"
    fit_tiny(start, "--fit.epochs=1", "--data.validation_photos=1")
    checkpoint = start / "checkpoints" / "epoch-001.pt"
    fit_tiny(
        warm,
        *GATED,
        "--fit.epochs=2",
        f"--model.warm_start={checkpoint}",
        "--model.phases=[{epochs: 1, trains: [channel_gates, judges]}, "
        "{trains: [network, judges]}]",
        "--model.optimization.generator_learning_rate=0.01",
    )
    # The published network's weights, and GCT as it starts: what the run began with.
    torch.manual_seed(0)
    began = InpaintSANet(width=8, gate="both")
    began.warm_start(load_network(checkpoint).state_dict())
    first, second = states(warm).values()

    gates = of_type(began, GatedChannelTransformation)
    assert len(gates) > 60
    assert moved_tensors(began, first) == gates
    statistics = {n for n in of_type(began, nn.BatchNorm2d) if n.endswith(("mean", "var"))}
    assert statistics <= moved_tensors(first, second)
    assert moved_tensors(first, second) >= {name for name, _ in began.named_parameters()} - {
        # Softmax over the keys takes no notice of what is added to all of them.
        "refine_attention.key.bias"
    }


def test_a_layer_that_only_contains_a_gate_stays_frozen():
    """The notes' mistake: chosen by the letters in a name, whole layers trained along."""

    class Layer(nn.Module):
        def __init__(self):
            super().__init__()
            self.gct_convolution = nn.Conv2d(2, 2, 1)
            self.gate = GatedChannelTransformation(2)

    layer = Layer()
    let_move(find_part("channel_gates", layer, {}), [], layer, {})
    training = {name for name, parameter in layer.named_parameters() if parameter.requires_grad}
    assert training == {"gate.alpha", "gate.gamma", "gate.beta"}


def test_a_network_without_gates_is_refused_before_training():
    with pytest.raises(SettingsError, match=r"no gated channel transformation.*network\.gate=gct"):
        tiny_experiment("--model.phases=[{epochs: 1, trains: [channel_gates]}]")


def test_weights_that_do_not_fit_are_refused_before_training(tmp_path):
    fit_tiny(tmp_path, "--fit.epochs=1", "--data.validation_photos=1")
    checkpoint = tmp_path / "checkpoints" / "epoch-001.pt"
    with pytest.raises(SettingsError, match=r"epoch-001\.pt do not fit model\.network"):
        tiny_experiment("--model.network.width=16", f"--model.warm_start={checkpoint}")


def test_a_run_in_which_the_judges_train_alone_for_a_while_goes_to_its_end(tmp_path):
    phases = "[{epochs: 1, trains: [judges]}, {epochs: 1}]"
    seen = []
    trained = fit_tiny(tmp_path, "--fit.epochs=2", f"--model.phases={phases}", on_step=seen.append)
    assert trained == [1, 2]
    assert {progress.epoch for progress in seen if progress.loss is None} == {1}
    losses = open_run(tmp_path).losses
    assert losses["total"].isna().tolist() == [True, False]
    assert losses["discriminator"].notna().all()
