"""What `tests.benchmarks.gpu` counts of a full step, by shapes alone, and prints of a tiny one."""

import math
import re

import pytest
import torch
from rich.table import Table
from torch.utils._python_dispatch import TorchDispatchMode

from lab.cost import count_multiply_adds, count_parameters
from lab.guides import ask_network
from lab.networks import InpaintSANet, PatchDiscriminator
from tests.benchmarks import gpu
from tests.benchmarks.steps import Steps

SIZE, BATCH, WIDTH = 256, 2, 32
# Of a photo, multiply-adds of the first convolutions, which nobody asks for the photo's gradient: 5
# planes by 5x5 to 32 features and 32 gates at every pixel, and by 4x4 to 64 at every other one.
NETWORKS_FIRST = 5 * (32 + 32) * 5 * 5 * 256 * 256
JUDGES_FIRST = 5 * 64 * 4 * 4 * 128 * 128
# Of what our fused attention multiplies, zeros: for 64x64 positions, queries and keys of 16
# channels are padded to the values' 128; for the judge's 4x4, of 32 to 256.
NETWORKS_ZEROS = (64 * 64) ** 2 * (128 - 16)
JUDGES_ZEROS = (4 * 4) ** 2 * (256 - 32)


@pytest.fixture(scope="module")
def network():
    """What a photo takes, forward."""
    return count_multiply_adds(InpaintSANet, SIZE)


@pytest.fixture(scope="module")
def judge():
    return count_multiply_adds(PatchDiscriminator, SIZE)


class OnMetaAlone(TorchDispatchMode):
    """Refuses to compute more than one number: Adam counts its steps."""

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        answer = function(*args, **(kwargs or {}))
        for made in answer if isinstance(answer, tuple | list) else [answer]:
            if isinstance(made, torch.Tensor) and made.numel() > 1:
                assert made.is_meta, f"{function} computed {tuple(made.shape)}"
        return answer


def test_a_full_step_runs_on_shapes_alone_and_has_the_published_number_of_parameters():
    steps = Steps(SIZE, BATCH, WIDTH, gpu.depth_of(SIZE), device="meta")
    with OnMetaAlone():
        steps.plain_step()
        steps.fast_step()
    for ours, published, known in (
        # As the shapes of the published checkpoints say (shared/parity), without the linear layer
        # that the judge never calls.
        (steps.fast, steps.plain, 6_053_113),
        (steps.judge, steps.plain_judge, 4_938_497),
    ):
        assert count_parameters(ours) == count_parameters(published) == known
        assert all(each.is_meta and each.grad.is_meta for each in ours.parameters())
    assert count_parameters(InpaintSANet()) == 6_053_113
    assert count_parameters(PatchDiscriminator(SIZE)) == 4_938_497


def test_our_step_is_the_forward_passes_of_its_parts_and_their_gradients(network, judge):
    """Each product has two factors: its gradients are two such products, for one factor one.

    The network is asked once. The judge is asked twice for its own step and once for the network's,
    for which its weights ask no gradient; both factors of its attention's products do.
    """
    of_network = 3 * network.multiply_adds - NETWORKS_FIRST
    of_attention = 3 * 3 * (judge.multiply_adds - judge.convolutions)
    of_convolutions = 2 * (3 * judge.convolutions - JUDGES_FIRST) + 2 * judge.convolutions
    expected = 2 * BATCH * (of_network + of_attention + of_convolutions)
    # By shapes: to the last one.
    found = gpu.step_flops("ours", SIZE, BATCH, WIDTH)
    assert found == expected
    assert 3.0 < found / (2 * BATCH * network.multiply_adds) < 3.5


def test_the_published_step_multiplies_no_zeros_and_takes_the_judges_gradients_thrice(
    network, judge
):
    of_network = 3 * (network.multiply_adds - NETWORKS_ZEROS) - NETWORKS_FIRST
    of_judge = 3 * 3 * (judge.multiply_adds - JUDGES_ZEROS) - 2 * JUDGES_FIRST
    found = gpu.step_flops("published", SIZE, BATCH, WIDTH)
    assert found == 2 * BATCH * (of_network + of_judge)


@pytest.mark.parametrize(
    ("name", "bfloat16"),
    [
        ("Tesla T4", None),
        ("Tesla V100-SXM2-16GB", None),
        ("NVIDIA A10", 125),
        ("NVIDIA L4", 121),
        ("NVIDIA A100-SXM4-80GB", 312),
        ("NVIDIA A100 80GB PCIe", 312),
        ("NVIDIA GeForce RTX 4090", 165.2),
        ("NVIDIA H100 80GB HBM3", 989.4),
        ("NVIDIA H100 PCIe", 756),
        ("NVIDIA H200", 989.4),
    ],
)
def test_peaks_are_dense(name, bfloat16):
    found = gpu.peak_of(name, "bfloat16", tf32=True)
    assert found == (bfloat16 and 1e12 * bfloat16)
    as_tf32, as_float32 = (gpu.peak_of(name, "float32", tf32=allowed) for allowed in (True, False))
    if bfloat16 is None:
        assert as_tf32 == as_float32
    else:
        # So it is on all GPUs that have both.
        assert as_tf32 == pytest.approx(found / 2, rel=0.02)
        assert as_float32 <= as_tf32


@pytest.mark.parametrize(
    "name",
    ["NVIDIA A10G", "NVIDIA A100-SXM4-80GB MIG 3g.40gb", "NVIDIA GeForce RTX 4090 Laptop GPU"],
)
def test_relatives_and_slices_of_a_known_gpu_have_no_peak(name):
    assert gpu.peak_of(name, "bfloat16", tf32=True) is None


TINY = ("--size=16", "--width=8", "--batch=1", "--rounds=1", "--steps=1", "--product=64")


def test_the_table_has_every_form_in_every_precision_and_as_compiled(capsys, monkeypatch):
    # The compiler takes minutes: tests/test_compiled_runs.py.
    compiled = []
    monkeypatch.setattr(gpu, "compile_call", lambda call: compiled.append(call) or call)
    monkeypatch.setattr(gpu, "why_nothing_compiles", lambda device: None)
    assert gpu.main(["--device=cpu", *TINY]) == 0
    assert compiled == [ask_network]
    table = capsys.readouterr().out
    rows = dict(re.findall(r"^│ (\w[\w ,]*?) +│(.*)│$", table, re.MULTILINE))
    assert list(rows) == [
        *(
            f"{form}, {precision}{way}"
            for precision in ("float32", "bfloat16")
            for way in ("", ", compiled")
            for form in ("published", "ours")
        ),
        "matrix product, float32",
        "matrix product, bfloat16",
    ]
    for name, row in rows.items():
        cells = [cell.strip().replace(",", "") for cell in row.split("│")]
        is_product = name.startswith("matrix")
        # A processor has no datasheet here, and its memory is not PyTorch's.
        expected = [4, 6] if is_product else [0, 1, 2, 3, 4, 6, 8]
        numbers = [float(cells[index].removesuffix("%")) for index in expected]
        assert all(map(math.isfinite, numbers))
        assert min(numbers[:-1]) > 0
        assert cells[5] == cells[7] == "-"
        if name.startswith("published"):
            assert cells[1] == "1.00"
        if is_product:
            assert cells[6] == "100.0%"


def test_a_row_is_the_arithmetic_of_its_median(capsys):
    """Of a step that takes 2 s by the median, and of a product in half the time."""
    published, ours, product = (
        gpu.Timed(name, "float32", None, flops, images, seconds=seconds, bytes=memory)
        for name, flops, images, seconds, memory in (
            ("published", 6 * 10**12, 8, [4.0, 1.0, 9.0], 5 * 2**30),
            ("ours", 8 * 10**12, 8, [2.0, 2.0, 7.0], 3 * 2**29),
            ("product", 5 * 10**12, 0, [1.0], 0),
        )
    )
    published.published = ours.published = published
    table = Table(*gpu.COLUMNS)
    gpu.add_rows(table, [published, ours], {"float32": product}, {"float32": 16e12})
    cells = {
        name: list(column.cells) for name, column in zip(gpu.COLUMNS, table.columns, strict=True)
    }
    assert [cells[name][1] for name in gpu.COLUMNS] == [
        "ours",
        "4.0",
        "2.00",
        "2.00",
        "1,000.0",
        "4",
        "25.0%",
        "80.0%",
        "1.50",
        "0.0",
    ]


def test_without_a_gpu_the_command_says_so_in_a_line(capsys, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert gpu.main([]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "no GPU" in line
    assert "--device cpu" in line
