"""Executes a notebook from top to bottom in a folder of its own, with other parameters."""

import ast
import json
import subprocess
from pathlib import Path

import nbformat
import pytest
from jupyter_client.provisioning import local_provisioner
from nbclient import NotebookClient

from tests import forking
from tests.tiny import PROJECT

NOTEBOOKS = sorted((PROJECT / "notebooks").glob("*.ipynb"))

# On top of the notebooks' own settings: a run that takes seconds.
TINY_RUN = [
    "--model.network.width=8",
    "--model.judges.whole.width=8",
    "--model.judges.whole.depth=2",
    "--data.size=32",
    "--data.samples_per_epoch=8",
    "--data.validation_crops=2",
    "--fit.threads=1",
    "--fit.precision=float32",
    "--fit.device=cpu",
]


def read_notebook(name):
    return nbformat.read(PROJECT / "notebooks" / f"{name}.ipynb", as_version=4)


def parameters_cell(notebook):
    (cell,) = [c for c in notebook.cells if "parameters" in c.metadata.get("tags", [])]
    return cell


def assigned(cell):
    """The names that a cell gives values, and nothing else: a parameter must be a plain one."""
    names = []
    for statement in ast.parse(cell.source).body:
        assert isinstance(statement, ast.Assign), cell.source
        ast.literal_eval(statement.value)
        names.append(statement.targets[0].id)
    return names


def with_parameters(notebook, parameters):
    """Put a cell with other values behind the one that is tagged."""
    cell = parameters_cell(notebook)
    unknown = set(parameters) - set(assigned(cell))
    assert not unknown, f"no such parameters: {unknown}"
    lines = [f"{name} = {_plain(value)!r}" for name, value in parameters.items()]
    place = notebook.cells.index(cell) + 1
    notebook.cells.insert(place, nbformat.v4.new_code_cell("\n".join(lines)))
    return notebook


def run_notebook(name, folder, look="None", /, **parameters):
    """Execute a notebook in ``folder``.

    Args:
        name: of the file, without its ending.
        folder: the kernel's working folder.
        look: an expression that is evaluated in the kernel at the end.
        parameters: in place of the notebook's own.

    Returns:
        The value of ``look`` (what JSON holds of it), and all that the cells printed and said in
        Markdown.
    """
    notebook = with_parameters(read_notebook(name), parameters)
    notebook.cells.append(nbformat.v4.new_code_cell(f"import json\nprint(json.dumps({look}))"))
    client = NotebookClient(
        notebook, timeout=200, kernel_name="python3", resources={"metadata": {"path": str(folder)}}
    )
    with pytest.MonkeyPatch.context() as patch:
        if forking.POSSIBLE:
            patch.setattr(local_provisioner, "launch_kernel", _fork_kernel)
        client.execute()
    printed = [
        "".join(map(_text, cell.outputs)) for cell in notebook.cells if cell.cell_type == "code"
    ]
    return json.loads(printed[-1].splitlines()[-1]), "".join(printed[:-1])


def _fork_kernel(words, *, cwd, env, **_):
    """A kernel's process, begun as commands are: importing takes longer than most notebooks."""
    assert words[1] == "-m"
    return forking.Forked(words[2:], cwd, {**env, **forking.BEGUN_WITH}, stdin=subprocess.DEVNULL)


def _text(output):
    if output.output_type == "stream":
        return output.text
    return output.get("data", {}).get("text/markdown", "")


def _plain(value):
    return str(value) if isinstance(value, Path) else value
