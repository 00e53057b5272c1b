"""JupyterLab on loopback, in a folder of its own, opened in a real browser."""

import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request

import nbformat
import pytest

from tests.notebooks.running import read_notebook, with_parameters
from tests.tiny import PROJECT

_SECONDS_TO_START = 120
# Run as root, as in containers, JupyterLab asks for this.
_AS_ROOT = ["--allow-root"] if os.geteuid() == 0 else []
# No cells that are taken out of the page while they are out of view.
_USER_SETTINGS = {
    "notebook-extension/tracker": {"windowingMode": "none"},
}


class Lab:
    """A running JupyterLab and how to open notebooks in it."""

    def __init__(self, folder, browser):
        self.folder = folder
        self._browser = browser
        self._token = secrets.token_hex(16)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self._port = probe.getsockname()[1]
        self._address = f"http://127.0.0.1:{self._port}"
        self.requests = []
        self._contexts = []
        for name, settings in _USER_SETTINGS.items():
            path = folder / f"config/lab/user-settings/@jupyterlab/{name}.jupyterlab-settings"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(settings))
        (folder / "notebooks").mkdir()
        self._log = (folder / "jupyter.log").open("w")
        self._process = subprocess.Popen(
            [
                *(sys.executable, "-m", "jupyterlab", "--ip=127.0.0.1", "--no-browser"),
                # The page's own handle to run cells by.
                *("--expose-app-in-browser", f"--port={self._port}", "--port-retries=0"),
                # As `make lab` has it: no questions about news.
                f"--LabApp.app_settings_dir={PROJECT / 'notebooks' / 'settings'}",
                *_AS_ROOT,
            ],
            cwd=folder,
            env={
                **os.environ,
                "JUPYTER_TOKEN": self._token,
                "JUPYTER_CONFIG_DIR": str(folder / "config"),
                "JUPYTER_DATA_DIR": str(folder / "data"),
                "JUPYTER_RUNTIME_DIR": str(folder / "runtime"),
                "PYTHONPATH": str(PROJECT),
            },
            stdout=self._log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        self._wait()

    def _wait(self):
        end = time.monotonic() + _SECONDS_TO_START
        while time.monotonic() < end:
            assert self._process.poll() is None, (self.folder / "jupyter.log").read_text()
            if self.status(self._token) == 200:
                return
            time.sleep(0.5)
        raise AssertionError((self.folder / "jupyter.log").read_text())

    def status(self, token):
        """The HTTP status of what holds the notebooks, with this token; 0 before the start."""
        try:
            with urllib.request.urlopen(f"{self._address}/api/contents?token={token}") as answer:
                return answer.status
        except urllib.error.HTTPError as error:
            return error.code
        except urllib.error.URLError:
            return 0

    def run(self, name, **parameters):
        """Open a copy of a notebook with other parameters, and run all of its cells."""
        path = self.folder / "notebooks" / f"{name}.ipynb"
        nbformat.write(with_parameters(read_notebook(name), parameters), path)
        context = self._browser.new_context(viewport={"width": 1280, "height": 1000})
        self._contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(120_000)
        page.on("request", lambda request: self.requests.append(request.url))
        page.goto(f"{self._address}/lab/tree/notebooks/{name}.ipynb?token={self._token}&reset")
        page.wait_for_function("() => window.jupyterapp")
        page.evaluate("window.jupyterapp.restored")
        page.locator(".jp-CodeCell").first.wait_for()
        # Run before its kernel is there, a notebook asks for one, and waits for the answer.
        page.wait_for_function(
            """() => {
                const { sessionContext } = window.jupyterapp.shell.currentWidget;
                return sessionContext?.session?.kernel?.status === 'idle';
            }"""
        )
        # Evaluating has no time limit of its own, so the end is waited for apart.
        page.evaluate(
            """() => {
                window.jupyterapp.commands.execute('notebook:run-all-cells').then((ran) => {
                    window.allCellsRan = ran;
                });
            }"""
        )
        page.wait_for_function("() => window.allCellsRan !== undefined")
        errors = page.locator("[data-mime-type='application/vnd.jupyter.error']")
        assert errors.all_text_contents() == []
        return page

    def close(self):
        """End the server with its kernels, and close the pages."""
        for context in self._contexts:
            context.close()
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._log.close()
        outside = [
            url for url in self.requests if not url.startswith((self._address, "blob:", "data:"))
        ]
        assert outside == [], "no request leaves this machine"


@pytest.fixture(scope="module")
def lab(browser, tmp_path_factory):
    """At the end, nothing may have been asked of another machine."""
    started = Lab(tmp_path_factory.mktemp("lab"), browser)
    yield started
    started.close()
