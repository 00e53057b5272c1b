"""Checks of the ``(low, high)`` ranges that generators take from a settings file."""


def check_range(name: str, bounds: tuple[float, float], lowest: float, highest: float) -> None:
    """Raise unless ``lowest <= low <= high <= highest``.

    Raises:
        ValueError: the two are swapped, or one of them lies outside.
    """
    low, high = bounds
    if not lowest <= low <= high <= highest:
        raise ValueError(
            f"{name} is ({low:g}, {high:g}), but must be (low, high) with "
            f"{lowest:g} <= low <= high <= {highest:g}"
        )


def check_probability(name: str, value: float) -> None:
    """Raise unless ``value`` lies in [0, 1].

    Raises:
        ValueError: it does not.
    """
    if not 0.0 <= value <= 1.0:
        raise ValueError(f"{name} is {value:g}, but a probability must lie in [0, 1]")
