"""HTML documents that carry all they need and forbid themselves everything else."""

import base64
import json
from collections.abc import Mapping, Sequence
from hashlib import sha256
from html import escape
from importlib import resources
from pathlib import Path
from string import Template
from typing import Any

from lab.parsing import SettingsError

ASSETS = resources.files("lab.reporting") / "assets"

MARK = "<!-- background inpainting: review page -->"

# One after the other in one function; each may use what stands before it, all what is called later.
_SCRIPTS = (
    "core.js",
    "keeping.js",
    "following.js",
    "choosing.js",
    "forest.js",
    "tables.js",
    "pictures.js",
    "samples.js",
    "curves.js",
    "losses.js",
    "plots.js",
    "votes.js",
    "start.js",
)


def study_document(data: Mapping[str, Any], pictures: Mapping[str, Mapping[str, str]]) -> str:
    """The review page of a study as HTML.

    Args:
        data: what the page shows (`lab.reporting.content.page_data`).
        pictures: in one file, the pictures' bytes as text, in groups that load together.
    """
    script = (
        "(() => {\n'use strict';\n"
        + "\n".join((ASSETS / name).read_text("utf-8") for name in _SCRIPTS)
        + "\n})();"
    )
    library = resources.files("plotly") / "package_data" / "plotly.min.js"
    # As text that does not run: it is parsed when the first plot comes into view.
    plotting = library.read_text("utf-8") if data["figures"] else ""
    if "</script" in plotting.lower():
        raise AssertionError("plotly's JavaScript cannot stand in a script element as it is")
    return Template((ASSETS / "page.html").read_text("utf-8")).substitute(
        mark=MARK,
        policy=_policy([text for text in (script, plotting) if text]),
        # The only text of the study outside the data; it is shown before any script runs.
        title=escape(f"{data['name']} – review"),
        style=(ASSETS / "page.css").read_text("utf-8"),
        data=_json(data),
        pictures="\n".join(
            f'<script type="text/plain" id="{group}">'
            + "\n".join(f"{name} {code}" for name, code in texts.items())
            + "</script>"
            for group, texts in pictures.items()
        ),
        plotting=plotting,
        script=script,
    )


def index_document(title: str, body: str, serial: int | None = None) -> str:
    """A page of fixed content; while ``serial`` is given, it waits for another version of itself.

    Args:
        title: of the window, as text.
        body: HTML in which all that comes from disk is escaped.
        serial: the number of this version.
    """
    script = ""
    if serial is not None:
        following = (ASSETS / "following.js").read_text("utf-8")
        script = f"{following}\nfollow({serial}, () => location.reload());"
    return Template((ASSETS / "index.html").read_text("utf-8")).substitute(
        mark=MARK,
        policy=_policy([script] if script else []),
        title=escape(title),
        style=(ASSETS / "page.css").read_text("utf-8"),
        body=body,
        script=script,
    )


def refuse_foreign(output: Path, single_file: bool = False) -> None:
    """Raise ``SettingsError`` where the output would replace something that is no report."""
    if not output.exists():
        return
    page = output if single_file else output / "index.html"
    if single_file and output.is_dir():
        raise SettingsError(f"{output} is a folder, but --single-file writes a file: name one")
    empty = output.is_dir() and not any(output.iterdir())
    if not empty and not (page.is_file() and MARK in page.read_text("utf-8", "replace")[:400]):
        raise SettingsError(f"{output} exists and is no review page: choose another name with -o")


def _policy(scripts: Sequence[str]) -> str:
    """Nothing is loaded but pictures beside the page, and only these very scripts run."""
    digests = (base64.b64encode(sha256(text.encode("utf-8")).digest()) for text in scripts)
    allowed = " ".join(f"'sha256-{digest.decode()}'" for digest in digests) or "'none'"
    return (
        f"default-src 'none'; script-src {allowed}; "
        "style-src 'unsafe-inline'; img-src 'self' file: data: blob:; base-uri 'none'; "
        "form-action 'none'"
    )


def _json(value: Any) -> str:  # noqa: ANN401 (any JSON value)
    """JSON that can stand in a script element: no text in it can end the element."""
    text = json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
