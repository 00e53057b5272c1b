"""The commands stand on the floors of ``lab`` that they may stand on."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FLOORS_BELOW = {
    *("untrusted", "checks", "contracts", "files", "command_line", "formats"),
    "processors",
    *("imaging", "layers", "masks", "networks"),
    *("losses", "metrics", "mask_sources", "strategies", "data", "variants"),
}
FILES = sorted((ROOT / "data_prep").rglob("*.py"))
COMMANDS = {
    *("places2", "clean_plate", "silhouettes", "evaluation_sets", "upscalers"),
    "feature_weights",
}


def imports(tree):
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0
            yield node.module
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_only_the_lower_floors_are_used(path):
    for module in imports(ast.parse(path.read_text())):
        assert not module.startswith(("tests", "notebooks"))
        if module.startswith("lab."):
            assert module.split(".")[1] in FLOORS_BELOW, f"{path.name} imports {module}"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_imports_stand_at_the_top_but_in_commands(path):
    for function in ast.walk(ast.parse(path.read_text())):
        if isinstance(function, ast.FunctionDef) and path.stem not in COMMANDS:
            assert not list(imports(function)), f"{path.name}: an import in {function.name}"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_files_stay_short(path):
    assert len(path.read_text().splitlines()) < 400
