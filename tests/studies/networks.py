"""A network between two hosts of this machine that can be cut: what is sent is lost, unseen."""

import os
import shutil
import subprocess
from ipaddress import IPv4Address
from itertools import count

_NUMBERS = count(1)
# Kept for measuring networks (RFC 2544): nobody has them.
_FIRST_ADDRESS = IPv4Address("198.18.0.0")


class Link:
    """A host of its own, as a network namespace, and the wire to this one.

    Attributes:
        here: this host's address on the wire.
    """

    def __init__(self):
        number = next(_NUMBERS)
        self.name = f"lab-{os.getpid()}-{number}"
        # Processes of one suite, and the links of one, differ.
        network = _FIRST_ADDRESS + os.getpid() % 500 * 256 + number % 64 * 4
        self.here, there = str(network + 1), str(network + 2)
        self._wire = f"l{os.getpid()}.{number}"
        _ip("netns", "add", self.name)
        try:
            peer = ("peer", "name", "eth0", "netns", self.name)
            _ip("link", "add", self._wire, "type", "veth", *peer)
            _ip("address", "add", f"{self.here}/30", "dev", self._wire)
            _ip("-n", self.name, "address", "add", f"{there}/30", "dev", "eth0")
            _ip("-n", self.name, "link", "set", "lo", "up")
            _ip("-n", self.name, "link", "set", "eth0", "up")
            self.mend()
        except subprocess.CalledProcessError:
            self.remove()
            raise

    @property
    def inside(self):
        """The words of a command that runs another on that host."""
        return ("ip", "netns", "exec", self.name)

    def cut(self):
        """From now on, what either sends is lost on the way."""
        _ip("link", "set", self._wire, "down")

    def mend(self):
        """As before."""
        _ip("link", "set", self._wire, "up")

    def remove(self):
        """The wire goes with the host."""
        _ip("netns", "delete", self.name)


def can_be_cut():
    """Whether hosts can be made here."""
    if shutil.which("ip") is None:
        return False
    try:
        Link().remove()
    except subprocess.CalledProcessError:
        return False
    return True


def _ip(*words):
    subprocess.run(["ip", *words], check=True, capture_output=True)
