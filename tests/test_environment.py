"""The pins: one place says them, every other way to install agrees."""

import re
import tomllib
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[1]


def _pins(requirements):
    pins = {}
    for requirement in requirements:
        match = re.fullmatch(r"([A-Za-z0-9_.-]+)(?:\[[^\]]*\])?==([^;\s]+)", requirement.strip())
        assert match, f"{requirement!r} is not pinned exactly (name==version)"
        pins[match[1].lower().replace("_", "-")] = match[2]
    return pins


def _project_pins(extras=("dev",)):
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    optional = project["optional-dependencies"]
    chosen = (pin for extra in extras or optional for pin in optional[extra])
    return _pins([*project["dependencies"], *chosen])


def test_conda_installs_the_same_pins():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    entries = environment["dependencies"]
    from_pip = next(entry["pip"] for entry in entries if isinstance(entry, dict))
    assert _pins(line for line in from_pip if not line.startswith("--")) == _project_pins()


def test_constraints_agree_with_the_pins():
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    constraints = _pins(line for line in lines if not line.startswith("#"))
    for name, version in _project_pins(extras=()).items():
        assert constraints[name] == version, f"{name}: constraints.txt has {constraints[name]}"


def test_torch_is_the_release_that_needs_no_gpu_packages():
    assert _project_pins()["torch"] == "2.13.0"
    assert "torchvision" not in _project_pins()
