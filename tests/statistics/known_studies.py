"""Studies of two goals that are known to their end, and what pruning would have made of them."""

from dataclasses import dataclass

import numpy as np

from lab.statistics import dominated_by


@dataclass(frozen=True)
class KnownStudy:
    """``scores (trials, epochs, samples, goals)`` and the photo of each sample."""

    scores: np.ndarray
    photos: list
    higher_is_better: tuple

    @property
    def ends(self):
        """The means at the last epoch, higher is better: ``(trials, goals)``."""
        return self.scores[:, -1].mean(axis=1) * np.where(self.higher_is_better, 1.0, -1.0)


def simulate_study(seed, trials=40, epochs=20, photos=40, waste=0.03):
    """Draw a study of hole SSIM (higher is better) and texture error (lower is better).

    Each trial takes a place on the way from fidelity to realism, and wastes some of both as a bad
    learning rate does: exponentially, ``waste`` in the mean. It learns by a power of the epoch, at
    a rate and over a height of its own for each goal. Epochs jitter by 0.0015; each photo answers
    each trial in its own way (0.007) and each epoch (0.004), as paired differences in
    ``sweeps/loss_weights.yaml`` do; three crops of a photo share most of that.
    """
    draws = np.random.default_rng(seed)
    place, wasted = draws.uniform(size=trials), draws.exponential(waste, trials)
    best = np.stack([0.58 - 0.03 * place**1.5, 0.20 + 0.04 * (1 - place) ** 1.5], axis=1)
    signs = np.array([1.0, -1.0])
    ends = best - signs * wasted[:, None] * draws.uniform(0.3, 1.0, (trials, 2))
    rates = draws.uniform(0.5, 1.5, (trials, 1, 2))
    heights = 0.03 * draws.lognormal(0.0, 0.4, (trials, 1, 2))
    left = np.arange(1, epochs + 1)[:, None] ** -rates - epochs**-rates
    means = ends[:, None] - signs * heights * left
    means = means + draws.normal(0, 0.0015, means.shape)
    answers = draws.normal(0, 0.007, (trials, 1, photos, 2))
    answers = answers + draws.normal(0, 0.004, (trials, epochs, photos, 2))
    of_photos = draws.normal(0, 0.1, (photos, 2)) + answers + means[:, :, None]
    crops = np.repeat(of_photos, 3, axis=2)
    scores = crops + draws.normal(0, 0.003, crops.shape)
    names = [f"photo{index}" for index in range(photos) for _ in range(3)]
    return KnownStudy(scores, names, (True, False))


def replay(study, named=1, startup_trials=3, warmup_epochs=2):
    """Run a known study again, one trial after the other, ending those that `dominated_by` ends.

    Args:
        study: as it is to its end.
        named: its first trials, which are never ended.
        startup_trials: this many must have finished before any is ended.
        warmup_epochs: no trial is ended before it has run this many.

    Returns:
        The epochs that each trial runs.
    """
    trials, epochs = study.scores.shape[:2]
    looks = range(warmup_epochs + 1, epochs)
    finished, run = [], []
    for trial in range(trials):
        ended = epochs
        for epoch in looks if trial >= named and len(finished) >= startup_trials else ():
            found = dominated_by(
                study.scores[trial, epoch - 1],
                study.scores[finished, epoch - 1],
                study.scores[finished, -1],
                study.photos,
                study.higher_is_better,
                len(looks),
            )
            if found is not None:
                ended = epoch
                break
        run.append(ended)
        if ended == epochs:
            finished.append(trial)
    return run


def front(ends):
    """The trials than which none is as good by every goal and better by one."""
    return {
        number
        for number, one in enumerate(ends)
        if not any((other >= one).all() and (other > one).any() for other in ends)
    }


def hypervolume(ends, reference):
    """The area that two goals dominate, above the reference."""
    area, reached = 0.0, reference[1]
    for first, second in sorted(ends.tolist(), reverse=True):
        if second > reached:
            area += (first - reference[0]) * (second - reached)
            reached = second
    return area


def kept(study, run):
    """Whether the whole front was kept, the share of its hypervolume, and that of the epochs."""
    ends, epochs = study.ends, study.scores.shape[1]
    left = [trial for trial, ended in enumerate(run) if ended == epochs]
    worst = ends.min(axis=0)
    share = hypervolume(ends[left], worst) / hypervolume(ends, worst)
    return front(ends) <= set(left), share, sum(run) / (len(run) * epochs)
