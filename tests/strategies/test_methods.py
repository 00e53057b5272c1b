"""The one table of methods without a network, and who is compared with which of them."""

import pytest

from lab.checks import UserError
from lab.fills import ShiftMap, SmoothFill
from lab.strategies import DEFAULT_METHOD, METHODS, baselines


def test_large_samples_are_compared_with_the_quick_methods_only():
    assert list(baselines(64)) == list(METHODS)  # the default study's photos
    assert list(baselines(4096)) == ["telea", "navier-stokes", "smooth"]


def test_what_is_asked_for_is_compared_whatever_it_costs():
    asked = baselines(4096, ["shift-map", "smooth"])
    assert [type(strategy) for strategy in asked.values()] == [ShiftMap, SmoothFill]
    assert baselines(64, []) == {}


def test_an_unknown_method_is_refused_with_the_nearest():
    with pytest.raises(UserError, match="Did you mean 'shift-map'"):
        baselines(64, ["shiftmap"])


def test_every_method_says_what_it_is_for():
    assert DEFAULT_METHOD in METHODS
    assert all(method.summary for method in METHODS.values())
