"""The learned gate and mask update of bidirectional attention keep the paper's formulas."""

import math

import pytest
import torch

from lab.layers import AsymmetricGaussianGate, updated_mask


def test_the_gate_is_the_papers_on_both_sides_of_its_maximum():
    gate = AsymmetricGaussianGate(1.4, 1.0, 0.5, 0.7)
    found = gate(torch.tensor([-1.0, 0.0, 1.0, 2.0, 9.0]))
    expected = [
        1.4 * math.exp(-0.5 * 4),
        1.4 * math.exp(-0.5),
        1.4,
        1 + 0.4 * math.exp(-0.7),
        1.0,
    ]
    torch.testing.assert_close(found, torch.tensor(expected))


def test_every_parameter_of_the_gate_learns_where_it_counts():
    gate = AsymmetricGaussianGate(1.4, 1.0, 0.6, 0.7).double()
    x = torch.tensor([-0.5, 0.3, 1.4, 2.5], dtype=torch.float64, requires_grad=True)
    for parameter in gate.parameters():
        torch.testing.assert_close(
            torch.autograd.grad(gate(x).sum(), parameter)[0],
            difference(gate, x, parameter),
            rtol=0,
            atol=1e-4,
        )
    assert torch.autograd.grad(gate(x[:2]).sum(), gate.sigma2)[0] == 0
    assert torch.autograd.grad(gate(x[2:]).sum(), gate.sigma2)[0] != 0


@torch.no_grad()
def difference(gate, x, parameter, step=1e-3):
    """The slope of the gate's sum, by two values on either side."""
    sums = []
    for change in (step, -2 * step, step):
        parameter.add_(change)
        sums.append(gate(x).double().sum())
    return (sums[0] - sums[1]) / (2 * step)


def test_training_puts_the_gates_parameters_back_within_their_bounds():
    gate = AsymmetricGaussianGate(1.1, 2.0, 1.0, 1.0)
    with torch.no_grad():
        gate.sigma1.fill_(0.2)
    x = torch.tensor([1.0])
    expected = 1.1 * math.exp(-0.5)
    assert gate.eval()(x).item() == pytest.approx(expected)
    assert gate.sigma1.item() == pytest.approx(0.2)  # using it changes nothing
    gate.train()
    earlier = gate(x)
    (earlier + gate(x)).sum().backward()  # an earlier use can still go backward
    assert earlier.item() == pytest.approx(expected)
    assert gate.sigma1.item() == pytest.approx(0.5)
    assert gate.sigma1.grad != 0  # so it can come back


def test_the_mask_is_updated_by_a_power_with_gradients_everywhere():
    features = torch.tensor([-1.0, 0.0, 1e-6, 2.0], requires_grad=True)
    updated = updated_mask(features)
    torch.testing.assert_close(updated, torch.tensor([0.0, 0.0, 1e-6**0.8, 2**0.8]))
    updated.sum().backward()
    assert features.grad.isfinite().all()
    torch.testing.assert_close(features.grad[[0, 1, 3]], torch.tensor([0, 0, 0.8 * 2**-0.2]))


def test_parameters_outside_the_published_bounds_are_refused():
    with pytest.raises(ValueError, match=r"sigma1 must be 0\.5 to 2\.0, not 0\.1"):
        AsymmetricGaussianGate(1.1, 2.0, 0.1, 1.0)
