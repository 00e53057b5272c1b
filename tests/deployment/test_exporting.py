"""Exported networks: the same answers at any size, of every network, or nothing is written."""

import onnx
import pytest
import torch

from lab.contracts import Stages
from lab.deployment import (
    NOT_EXPORTED,
    TOLERANCE,
    NotExportedError,
    export_network,
    exporting,
    load_model,
)
from lab.guides import guides_of
from lab.networks import NETWORKS, GlobalLocal
from tests.guided import stripes
from tests.networks.test_contract import build, samples

# One small form of each, and whether following it takes longer than a few seconds.
SMALL = {
    "ContextEncoder": ({"width": 4, "view_size": 32, "start": "residual"}, True),
    "DeepFillv1": ({"width": 4, "form": "mmagic"}, True),
    "DeepFillv2": ({"width": 4, "initialization": "identity", "sketch": True}, True),
    "EdgeConnect": ({"width": 4, "blocks": 1}, True),
    "EdgeGenerator": ({"width": 4, "blocks": 1}, False),
    "EdgePainter": ({"width": 4, "blocks": 1, "start": "fill"}, True),
    "GlobalLocal": ({"width": 4, "start": "residual"}, False),
    "InpaintSANet": ({"width": 8, "attention_scale": "sqrt_d"}, True),
    "LBAM": ({"width": 8, "depth": 2, "start": "fill"}, False),
    "LaMa": ({"width": 4, "blocks": 1}, True),
    "MIGAN": ({"width": 8, "resolution": 16, "branches": 3}, False),
    "PartialConvolutionUNet": ({"width": 8, "depth": 2, "form": "naoto0804"}, True),
    "RFR": ({"width": 8, "recurrences": 1, "start": "fill"}, True),
    "ShiftNet": ({"width": 4, "depth": 5}, False),
}
SIZES = ((48, 64), (33, 97))


def test_every_network_is_exported_or_says_why_not():
    assert set(SMALL) | set(NOT_EXPORTED) == set(NETWORKS)
    assert not set(SMALL) & set(NOT_EXPORTED)


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        pytest.param(name, arguments, id=name, marks=[pytest.mark.slow] if is_slow else [])
        for name, (arguments, is_slow) in SMALL.items()
    ],
)
@torch.no_grad()
def test_a_network_answers_the_same_by_its_file(name, arguments, tmp_path):
    network = build(name, arguments).eval()
    exported = export_network(network, tmp_path / "model.onnx", "a: 1", SIZES)
    assert [one.difference <= TOLERANCE for one in exported.comparisons] == [True, True]

    model = load_model(tmp_path / "model.onnx")
    assert (model.card.network, model.card.settings, model.guides) == (
        name,
        "a: 1",
        guides_of(network),
    )
    # Two photos under other holes and of another size than it was compared on; NaN beneath.
    image, mask = samples(40, 70)
    guides = {guide: stripes(mask) for guide in model.guides}
    hidden = torch.where(mask > 0, float("nan"), image)
    found = model(hidden, mask, guides).refined
    expected = network(image, mask).refined
    torch.testing.assert_close(found, expected, rtol=0, atol=TOLERANCE)
    completed = model.complete(hidden, mask, guides)
    pasted = torch.where(mask > 0, expected.clamp(0, 1), image)
    torch.testing.assert_close(completed, pasted, rtol=0, atol=TOLERANCE)
    assert torch.equal(completed[mask.expand_as(image) == 0], image[mask.expand_as(image) == 0])


def test_what_cannot_be_exported_says_why(tmp_path):
    network = NETWORKS["FillSelector"].build(width=8, dilations=(1,))
    with pytest.raises(NotExportedError, match="FillSelector cannot be exported: the fills that"):
        export_network(network, tmp_path / "model.onnx")
    assert not list(tmp_path.iterdir())


class Restless(GlobalLocal):
    """A network that answers otherwise at each call."""

    calls = 0

    def forward(self, image, mask):
        self.calls += 1
        return Stages(images=(super().forward(image, mask).refined + 0.01 * self.calls,))


def test_a_file_that_computes_something_else_replaces_nothing(tmp_path):
    path = tmp_path / "model.onnx"
    path.write_text("an earlier one")
    torch.manual_seed(0)
    with pytest.raises(NotExportedError, match=r"Restless answers .* at most 0\.001 is let pass"):
        export_network(Restless(width=4), path, sizes=SIZES)
    assert path.read_text() == "an earlier one"
    assert [each.name for each in tmp_path.iterdir()] == ["model.onnx"]


def test_normalization_is_folded_and_nothing_of_this_machine_is_in_the_file(tmp_path):
    export_network(build("GlobalLocal", {"width": 4}), tmp_path / "model.onnx", sizes=SIZES[:1])
    content = (tmp_path / "model.onnx").read_bytes()
    kinds = {node.op_type for node in onnx.ModelProto.FromString(content).graph.node}
    assert "Conv" in kinds
    assert "BatchNormalization" not in kinds
    assert exporting.__file__.rpartition("/")[0].encode() not in content
    assert b"site-packages" not in content
