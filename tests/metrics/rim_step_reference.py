"""The step at the hole's rim once more, by numpy, pair by pair."""

import numpy as np


def rim_step_of(photo, hole):
    """``(3, H, W)`` and a region ``(H, W)``."""
    height, width = hole.shape

    def kind(y, x):
        return bool(hole[y, x]) if 0 <= y < height and 0 <= x < width else None

    pairs = [
        (y, x, down, right)
        for y in range(height)
        for x in range(width)
        for down, right in ((0, 1), (0, -1), (1, 0), (-1, 0))
        if kind(y, x) is False and kind(y + down, x + right) is True
    ]

    def step(y, x, down, right, offset):
        """None where the pair is not of the side that it should be."""

        def place(number):
            return y + down * number, x + right * number

        def difference(number):
            (a, b), (c, d) = place(number), place(number + 1)
            return photo[:, c, d] - photo[:, a, b]

        if offset == 0:
            beside = [difference(-1)] if kind(*place(-1)) is False else []
            beside += [difference(1)] if kind(*place(2)) is True else []
        else:
            passed = range(1, offset + 3) if offset > 0 else range(offset - 1, 1)
            if any(kind(*place(number)) is not (offset > 0) for number in passed):
                return None
            beside = [difference(offset - 1), difference(offset + 1)]
        return difference(offset) - (np.mean(beside, axis=0) if beside else 0.0)

    def squares(offsets):
        """The squared quantiles of the mean steps of all stretches."""
        found = []
        for offset in offsets:
            steps = [(y, x, step(y, x, down, right, offset)) for y, x, down, right in pairs]
            steps = [each for each in steps if each[2] is not None]
            for y, x, _ in steps:
                near = [s for v, u, s in steps if abs(v - y) <= 7 and abs(u - x) <= 7]
                found.append(np.abs(np.mean(near, axis=0)))
        if not found:
            return None
        found = sorted(np.ravel(found))
        return np.array([found[(2 * level + 1) * len(found) // 40] for level in range(20)]) ** 2

    excess = squares([0])
    beside = [s for s in (squares([-2, -3, -4]), squares([2, 3, 4])) if s is not None]
    if beside:
        excess = excess - np.mean(beside, axis=0)
    return max(0.0, float(np.mean(np.sign(excess) * np.sqrt(np.abs(excess)))))
