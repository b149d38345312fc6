"""Errors that a user can cause: one line that names the thing and the remedy."""

from __future__ import annotations

import errno


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


def disk_full(error: BaseException | None) -> bool:
    """Tell whether an error, or one behind it, says that the disk or a quota is full.

    Libraries wrap the operating system's error in one of their own, some of them keeping only its text.
    """
    while error is not None:
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            return True
        if "(os error 28)" in str(error) or "(os error 122)" in str(error):
            return True
        error = error.__cause__ or error.__context__
    return False
