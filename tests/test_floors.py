"""The house stands: every file imports only from lower floors or from its own room."""

import ast
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

FLOORS = [
    {"untrusted"},
    {
        "checks",
        "contracts",
        "files",
        "heartbeats",
        "command_line",
        "compiling",
        "processors",
        "ranks",
        "terminal",
        "wording",
    },
    {"devices", "formats", "imaging", "layers", "masks"},
    {"fills", "guides"},
    {"networks", "parsing"},
    {"faults", "losses", "metrics", "mask_sources", "strategies"},
    {"data", "statistics"},
    {"training", "results"},
    {"variants"},
    {"tracking", "completion", "cost", "deployment", "machine_watch", "rank_processes"},
    {"evaluation", "network_table"},
    {"handing_out", "selection", "settings"},
    {"runs", "fillers"},
    {"studies"},
    {"reporting"},
    {"widgets"},
    {"shortcuts"},
    {"train", "sweep", "evaluate", "export", "select", "report", "sync", "inpaint", "__main__"},
]
FLOOR_OF = {room: floor for floor, rooms in enumerate(FLOORS, -1) for room in rooms}

FILES = sorted((ROOT / "lab").rglob("*.py"))


@cache
def _nodes(path):
    return list(ast.walk(ast.parse(path.read_text())))


def _room(path):
    if path.name == "__main__.py":
        return "__main__"  # a command, though it lies in the room that it is called after
    first = path.relative_to(ROOT / "lab").parts[0]
    return first.removesuffix(".py")


def _imports(path):
    for node in _nodes(path):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: write the import from the top: lab.…"
            if node.module == "lab":
                yield from (f"lab.{alias.name}" for alias in node.names)
            else:
                yield node.module
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


def test_imports_are_read_however_they_are_written(tmp_path):
    path = tmp_path / "a.py"
    path.write_text("from lab import runs as r, train\nimport lab.files\nfrom lab.data import a\n")
    assert list(_imports(path)) == ["lab.runs", "lab.train", "lab.files", "lab.data"]


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_only_from_lower_floors_or_its_own_room(path):
    room = _room(path)
    if room == "__init__":
        return
    assert room in FLOOR_OF, f"say in tests/test_floors.py on which floor {room} lies"
    for module in _imports(path):
        assert not module.startswith(("tests", "notebooks", "data_prep")), f"lab imports {module}"
        if not module.startswith("lab."):
            continue
        other = module.split(".")[1]
        assert other in FLOOR_OF, f"{path.name} imports {module}: import it from its room"
        assert other == room or FLOOR_OF[other] < FLOOR_OF[room], (
            f"{path.name} on floor {FLOOR_OF[room]} imports {module} of floor {FLOOR_OF[other]}"
        )


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_stand_at_the_top_but_in_commands(path):
    if _room(path) in FLOORS[-1]:
        return  # a command parses its options before it imports PyTorch
    for function in _nodes(path):
        if isinstance(function, ast.FunctionDef):
            for node in ast.walk(function):
                assert not isinstance(node, ast.Import | ast.ImportFrom), (
                    f"{path}:{node.lineno}: an import inside {function.name}"
                )


READERS = {
    # What may wait, burst or run code, and the one file that does it within limits.
    "yaml.safe_load": set(),
    "yaml.load": {"formats/plain.py"},
    "torch.load": {"networks/weight_files.py"},
    "pickle.load": set(),
    "np.load": {"masks/silhouettes.py"},
    "cv2.imread": set(),
    "Image.open": {"imaging/reading.py"},
    "pd.read_csv": {"formats/runs.py", "results/study.py"},
}


@pytest.mark.parametrize("reader", READERS)
def test_what_comes_from_outside_is_read_in_one_place(reader):
    found = set()
    for path in [*FILES, *(ROOT / "data_prep").rglob("*.py")]:
        for node in _nodes(path):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == reader:
                found.add(str(path.relative_to(ROOT / "lab" if path in FILES else ROOT)))
    assert found == READERS[reader]


NAMED_IN = {
    # A file of a run or study, and the one place that says what it is called.
    "photos.csv": "formats/runs.py",
    "losses.csv": "formats/runs.py",
    "config.yaml": "formats/runs.py",
    "run.json": "formats/runs.py",
    "results.csv": "formats/runs.py",
    "board.csv": "formats/runs.py",
    "selection.json": "formats/runs.py",
    "study.db": "results/storage.py",
    "study.json": "results/storage.py",
}


@pytest.mark.parametrize("name", NAMED_IN)
def test_what_a_run_leaves_is_named_in_one_place(name):
    found = {
        str(path.relative_to(ROOT / "lab"))
        for path in FILES
        for node in _nodes(path)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
        if node.value == name or node.value.endswith(f"/{name}")
    }
    assert found == {NAMED_IN[name]}


def test_settings_are_parsed_by_one_parser():
    for path in [*FILES, *(ROOT / "data_prep").rglob("*.py")]:
        for node in _nodes(path):
            if isinstance(node, ast.ImportFrom) and node.module == "jsonargparse":
                names = {alias.name for alias in node.names}
                assert "ArgumentParser" not in names or path.parent.name == "parsing", path
