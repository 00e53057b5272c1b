"""What comes from outside is opened without waiting, read within limits, and shown without harm."""

import os
import socket
import stat

import pytest

from lab.terminal import Terminal
from lab.untrusted import below, open_regular, printable, read_bytes, read_text, unsafe_path

LINKED = "a link to a device"


@pytest.fixture
def special(tmp_path):
    """Makes what is no regular file, by its name."""

    def make(kind):
        path = tmp_path / "photo.png"
        if kind == "a pipe":
            os.mkfifo(path)
        elif kind == LINKED:
            path.symlink_to("/dev/zero")
        elif kind == "a socket":
            with socket.socket(socket.AF_UNIX) as listener:
                listener.bind(str(path))
        else:
            path.mkdir()
        return path

    return make


@pytest.mark.parametrize(
    ("kind", "reason"),
    [("a pipe", "a pipe"), (LINKED, "a device"), ("a socket", "a socket"), ("", "a folder")],
)
def test_what_is_no_regular_file_is_refused_at_once(special, kind, reason):
    with pytest.raises(OSError, match=reason):
        open_regular(special(kind))


def test_a_file_exchanged_for_a_pipe_in_the_last_moment_is_refused_too(tmp_path, monkeypatch):
    path = tmp_path / "photo.png"
    path.touch()
    regular = os.stat(path)
    path.unlink()
    os.mkfifo(path)
    monkeypatch.setattr("lab.untrusted.os.stat", lambda _: regular)
    with pytest.raises(OSError, match="a pipe"):
        open_regular(path)


def test_links_to_regular_files_are_followed(tmp_path):
    (tmp_path / "photo.png").write_bytes(b"pixels")
    (tmp_path / "link.png").symlink_to("photo.png")
    assert read_bytes(tmp_path / "link.png", 6) == b"pixels"


def test_a_file_that_is_too_large_is_refused_before_it_is_read(tmp_path):
    path = tmp_path / "sparse"
    with path.open("wb") as file:
        file.truncate(2**40)
    with pytest.raises(OSError, match=f"{2**40} bytes, and at most 1000"):
        read_bytes(path, 1000)


def test_a_file_that_says_it_is_empty_and_is_not_is_read_up_to_the_limit():
    version = read_bytes("/proc/version", 10_000)
    assert os.stat("/proc/version").st_size == 0 < len(version)
    with pytest.raises(OSError, match="grew to more than 3"):
        read_bytes("/proc/version", 3)


def test_text_must_be_utf_8(tmp_path):
    (tmp_path / "a.json").write_bytes(b"\xff\xfe")
    with pytest.raises(ValueError, match="utf-8"):
        read_text(tmp_path / "a.json")


HARMFUL = {
    "\x1b[2J": r"\x1b[2J",
    "\r": r"\r",
    "a\nerror: ": r"a\nerror: ",
    "\u202e": r"\u202e",  # from right to left
    "\x9b31m": r"\x9b31m",
    os.fsdecode(b"\xff"): r"\udcff",  # no UTF-8: a lone surrogate cannot be printed at all
}


@pytest.mark.parametrize("name", HARMFUL)
def test_names_do_nothing_to_a_terminal(name):
    shown = printable(f"beach{name}.jpg")
    assert shown == f"beach{HARMFUL[name]}.jpg"
    shown.encode()


def test_ordinary_names_stay_as_they_are():
    for name in ("Strand und Meer.jpg", "浜辺.jpg", "plage-été_(2).jpg"):
        assert printable(name) == name
    assert printable("two\n\tlines\x1b", lines=True) == "two\n\tlines\\x1b"


def test_a_console_shows_names_as_names(capsys):
    Terminal().print("[red]\x1b[31mname[/red]")
    assert capsys.readouterr().out == "[red]\\x1b[31mname[/red]\n"
    Terminal().print("[/nothing]\x07")
    assert capsys.readouterr().out == "[/nothing]\\x07\n"


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("/etc/passwd", "absolute"),
        ("C:\\windows", "absolute"),
        ("a/../../b", r"\.\."),
        ("a\\..\\..\\b", r"\.\."),
        ("", "empty"),
        ("a\0b", "damaged"),
        ("a/" * 3000, "6000 characters"),
        (7, "no text"),
        (None, "no text"),
    ],
)
def test_a_record_names_files_below_its_folder_only(tmp_path, name, reason):
    with pytest.raises(ValueError, match=reason):
        below(tmp_path, name)


def test_names_with_dots_are_names(tmp_path):
    assert unsafe_path("a/..b/c..png") is None
    assert below(tmp_path, "photos/a.png") == tmp_path / "photos" / "a.png"


def test_devices_are_known_by_their_status():
    assert stat.S_ISCHR(os.stat("/dev/zero").st_mode), "else the tests above show nothing"
