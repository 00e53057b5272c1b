"""Report pages to open in a browser."""

from pathlib import Path

import pytest


class Opened:
    """A page, what it complained of, and what it asked for."""

    def __init__(self, page):
        self.page = page
        self.complaints = []
        self.requests = []
        page.on(
            "console", lambda message: self.complaints.append(f"{message.type}: {message.text}")
        )
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("dialog", lambda dialog: (self.complaints.append("dialog"), dialog.dismiss()))
        page.on("request", lambda request: self.requests.append(request.url))


@pytest.fixture
def open_page(browser):
    """Open a file; at the end of the test the page must have been quiet and have stayed at home."""
    opened = []

    def open_file(path: Path, **options):
        options = {"viewport": {"width": 1280, "height": 900}, "reduced_motion": "reduce"} | options
        context = browser.new_context(**options)
        one = Opened(context.new_page())
        one.root = path.parent.resolve().as_uri()
        opened.append((context, one))
        one.page.goto(path.resolve().as_uri())
        return one

    yield open_file
    for context, one in opened:
        context.close()
        assert one.complaints == []
        outside = [url for url in one.requests if not url.startswith((one.root, "data:", "blob:"))]
        assert outside == []
