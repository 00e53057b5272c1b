"""Clipping is clamping, but for the gradient that leads back into the range."""

import torch

from lab.layers import clip


def test_values_are_clamped_and_gradients_lead_back_inside():
    x = torch.tensor([-3.0, -3.0, -1.0, 0.5, 1.0, 3.0, 3.0], requires_grad=True)
    answer = clip(x, -1.0, 1.0)
    assert torch.equal(answer, x.detach().clamp(-1, 1))
    # Descent subtracts the gradient: +1 makes a value smaller.
    answer.backward(torch.tensor([-1.0, 1.0, 1.0, -1.0, -1.0, 1.0, -1.0]))
    assert x.grad.tolist() == [-1.0, 0.0, 1.0, -1.0, -1.0, 1.0, 0.0]


def test_a_value_outside_is_brought_back_and_stays_inside():
    x = torch.tensor([5.0], requires_grad=True)
    optimizer = torch.optim.SGD([x], 0.5)
    for _ in range(40):
        optimizer.zero_grad()
        (clip(x, -1.0, 1.0) - 0.25).square().sum().backward()
        optimizer.step()
    torch.testing.assert_close(x.detach(), torch.tensor([0.25]))
