"""The terminal of the command line's tests, here as well."""

from tests.cli.conftest import terminal

__all__ = ["terminal"]
