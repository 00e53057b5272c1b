"""Whether a trial can still reach a study's Pareto front: what ends one early by several goals.

A trial cannot when one finished trial is better by every goal, in two ways:

- *On other photos, too.* At the same epoch its lead, paired by sample, is above 0 by Student's t
  over photos. The level is shared out among the finished trials and the epochs at which is asked
  (Bonferroni), not among the goals: all of them must hold (Berger, "Multiparameter Hypothesis
  Testing and Acceptance Sampling", 1982).
- *At the end, too.* Its last score is above what the trial has now and could still gain: the upper
  limit that a further trial's gain keeps to, from the gains of the finished ones from this epoch to
  their last (Student's t; wide where they are few). The level is shared out among the goals, since
  one that is reached puts a trial on the front. Not among the epochs: what is left to gain at one
  is mostly what was left at the one before; nor among the finished trials, whose ends are known.

Either alone would not do: the first ends trials that rise late, the second those that a few photos
happen to put behind. ``tests/statistics/test_dominance.py`` measures what both lose and save.
"""

from collections.abc import Sequence

import numpy as np
from scipy.stats import t as student

from lab.statistics.resampling import Floats, photo_shares

RISK = 0.05
"""The level of either half: how often it may be wrong of a trial that belongs on the front."""


def dominated_by(
    trial: Floats,
    now: Floats,
    last: Floats,
    photos: Sequence[str],
    higher_is_better: Sequence[bool],
    looks: int,
) -> int | None:
    """The finished trial that confidently dominates a trial, now and at the end; None if none does.

    Args:
        trial: its scores at this epoch, ``(samples, goals)``.
        now: the finished trials' at the same epoch, ``(trials, samples, goals)``.
        last: theirs at their last epoch, alike.
        photos: the photo of each sample; crops of one photo count once.
        higher_is_better: each goal's direction.
        looks: at how many of its epochs a trial is looked at.

    Returns:
        int | None: its place in ``now``: of several, the one with the clearest lead. None also
        where a score is missing, and of fewer than two photos or finished trials, which say nothing
        about others.
    """
    finished, _, goals = now.shape
    if finished < 2 or len(set(photos)) < 2:
        return None
    signs = np.where(higher_is_better, 1.0, -1.0)
    trial, now, last = trial * signs, now * signs, last * signs
    leads = now - trial
    means = leads.mean(axis=1)
    shares = photo_shares(leads.transpose(1, 0, 2).reshape(len(photos), -1), photos)
    n = len(shares)
    errors = np.sqrt((shares**2).sum(axis=0) * n / (n - 1)).reshape(means.shape)
    bounds = means - student.isf(RISK / (looks * finished), n - 1) * errors
    gains = (last - now).mean(axis=1)
    limit = student.isf(RISK / goals, finished - 1) * np.sqrt(1.0 + 1.0 / finished)
    reached = trial.mean(axis=0) + gains.mean(axis=0) + limit * gains.std(axis=0, ddof=1)
    ahead = (bounds > 0.0).all(axis=1) & (last.mean(axis=1) > reached).all(axis=1)
    if not ahead.any():
        return None
    clearest = (means / np.maximum(errors, np.finfo(np.float64).tiny)).min(axis=1)
    return int(np.where(ahead, clearest, -np.inf).argmax())
