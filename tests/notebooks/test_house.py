"""What holds for every notebook in git: no outputs, few cells, parameters that can be replaced."""

import ast
import importlib
import subprocess

import pytest

from tests.notebooks.running import NOTEBOOKS, assigned, parameters_cell, read_notebook
from tests.tiny import PROJECT

NAMES = [path.stem for path in NOTEBOOKS]
_MOST_CELLS = 20


def test_all_seven_are_there():
    assert [name[:3] for name in NAMES] == [f"0{number}_" for number in range(7)]


@pytest.mark.parametrize("name", NAMES)
def test_outputs_are_stripped(name):
    notebook = read_notebook(name)
    assert "widgets" not in notebook.metadata
    for cell in notebook.cells:
        if cell.cell_type == "code":
            assert cell.outputs == [], f"clear the outputs of {name} before you commit it"
            assert cell.execution_count is None, f"clear the outputs of {name}"


@pytest.mark.parametrize("name", NAMES)
def test_the_first_code_cell_holds_plain_parameters(name):
    notebook = read_notebook(name)
    first = next(cell for cell in notebook.cells if cell.cell_type == "code")
    assert first is parameters_cell(notebook)
    assert assigned(first)


@pytest.mark.parametrize("name", NAMES)
def test_it_is_short_and_explains_each_step(name):
    cells = read_notebook(name).cells
    code = [cell for cell in cells if cell.cell_type == "code"]
    assert len(code) <= 12
    assert len(cells) <= _MOST_CELLS
    assert cells[0].cell_type == "markdown"
    for cell in code:
        ast.parse(cell.source)
        assert not any(
            isinstance(node, ast.ClassDef) for node in ast.walk(ast.parse(cell.source))
        ), "what is more than a few lines belongs into lab/widgets"


@pytest.mark.parametrize("name", NAMES)
def test_no_cell_draws_into_an_output_widget(name):
    """Who runs a notebook by nbclient would wait: its stand-in answers where it listens, too.

    A message sent there takes the signal away that the cell's end has come (half of all times, with
    pyzmq's shadowed sockets), so that the end is noticed when the time limit is over.
    """
    words = {
        node.id if isinstance(node, ast.Name) else node.attr
        for cell in read_notebook(name).cells
        if cell.cell_type == "code"
        for node in ast.walk(ast.parse(cell.source))
        if isinstance(node, ast.Name | ast.Attribute)
    }
    assert not words & {
        "interact",
        "interactive",
        "interactive_output",
        "interact_manual",
        "Output",
    }


def test_make_lab_listens_on_this_machine_and_leaves_the_token_on():
    command = subprocess.run(
        ["make", "--dry-run", "lab"], cwd=PROJECT, capture_output=True, text=True, check=True
    ).stdout
    assert "-m jupyterlab --ip=127.0.0.1" in command
    assert "--LabApp.app_settings_dir=notebooks/settings" in command, "no questions about news"
    assert not any(word in command.lower() for word in ("token", "password", "0.0.0.0", "origin"))


@pytest.mark.parametrize("name", NAMES)
def test_what_runs_left_is_asked_of_lab_results(name):
    code = "".join(c.source for c in read_notebook(name).cells if c.cell_type == "code")
    files = ("photos.csv", "losses.csv", "config.yaml", "run.json", "study.db", "trials", "epoch-*")
    assert [file for file in files if f'"{file}' in code or f"/{file}" in code] == []


@pytest.mark.parametrize("name", NAMES)
def test_what_it_imports_is_there(name):
    """Its cells run in tests that take minutes; a name that moved should show at once."""
    for cell in read_notebook(name).cells:
        if cell.cell_type != "code":
            continue
        for node in ast.walk(ast.parse(cell.source)):
            if isinstance(node, ast.ImportFrom):
                module = importlib.import_module(node.module)
                missing = [alias.name for alias in node.names if not hasattr(module, alias.name)]
                assert not missing, f"{node.module} has no {', '.join(missing)}"
