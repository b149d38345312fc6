"""Errors that a user can cause: one line that names the thing and the remedy."""

from __future__ import annotations


class UserError(Exception):
    """A mistake in input, configuration or data. The command line prints it as one line and exits with 2."""


class DataError(UserError):
    """A file or folder of a dataset is missing, damaged or inconsistent."""


class ConfigError(UserError):
    """A configuration file, method, category or option is unknown or malformed."""


class EvidenceError(UserError):
    """A record is damaged, altered or does not belong where it lies."""


class FitError(Exception):
    """A fit failed for a reason of its own (NaN loss, out of memory). Becomes a failed record, not a crash."""
