"""Runs whose best checkpoint is known: true means, and what a few photos show of them."""

from dataclasses import dataclass

import numpy as np

KINDS = ("spread", "near ties", "one better", "training curve", "smooth peak")


@dataclass(frozen=True)
class SimulatedRun:
    """``values (samples, candidates)``, higher is better; ``best`` has the highest true mean."""

    kind: str
    values: np.ndarray
    photos: list
    best: int


def simulate_runs(count, seed):
    """Draw runs of every kind, with 3 to 40 photos, 1 or 4 crops of each, 2 to 40 candidates.

    Each photo answers each candidate in its own way, alike in neighbouring epochs or not, normal or
    with heavy tails (Student's t with 3 degrees of freedom); its crops share that answer. The
    scale is such that the standard error of a mean is about 1.
    """
    draws = np.random.default_rng(seed)
    return [_simulate(draws, KINDS[index % len(KINDS)]) for index in range(count)]


def _simulate(draws, kind):
    n, candidates, crops = (
        int(draws.choice(options)) for options in ((3, 6, 12, 40), (2, 5, 12, 40), (1, 4))
    )
    truth = _true_means(draws, kind, candidates)
    heavy, alike = draws.random() < 0.5, float(draws.choice([0.0, 0.8]))

    def noise(*shape):
        return draws.standard_t(3, shape) / np.sqrt(3) if heavy else draws.normal(size=shape)

    answer = np.zeros((n, candidates))
    state = noise(n)
    for epoch in range(candidates):
        state = alike * state + np.sqrt(1 - alike**2) * noise(n)
        answer[:, epoch] = state
    values = [
        truth + 5 * noise(n, 1) + np.sqrt(n) * (answer + 0.5 * noise(n, candidates))
        for _ in range(crops)
    ]
    photos = [f"photo{index}" for _ in range(crops) for index in range(n)]
    return SimulatedRun(kind, np.concatenate(values), photos, int(truth.argmax()))


def _true_means(draws, kind, candidates):
    epochs = np.arange(candidates)
    if kind == "spread":
        return draws.normal(0, draws.choice([0.3, 1.0, 3.0]), candidates)
    if kind == "near ties":
        return draws.normal(0, 0.1, candidates)
    if kind == "one better":
        return np.where(epochs == draws.integers(candidates), draws.choice([0.3, 1, 2, 4]), 0.0)
    if kind == "training curve":
        wiggle = draws.normal(0, draws.choice([0.1, 0.5, 1.5]), candidates)
        return 20 * (1 - np.exp(-4 * epochs / candidates)) + wiggle
    peak = draws.uniform(0.3, 1.2)
    return -draws.choice([1, 5, 20]) * (epochs / max(1, candidates - 1) - peak) ** 2
