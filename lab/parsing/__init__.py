"""The parser of settings: what it may import and read, and what it says of what does not fit."""

from jsonargparse import ArgumentParser

from lab.parsing.limits import (
    ALLOW_IMPORTS,
    allowed_imports,
    denied_import,
    take_packages,
)
from lab.parsing.options import SettingsError, flat_settings, options_from, parse_options

__all__ = [
    "ALLOW_IMPORTS",
    "ArgumentParser",
    "SettingsError",
    "allowed_imports",
    "denied_import",
    "flat_settings",
    "options_from",
    "parse_options",
    "take_packages",
]
