"""One thing to say about a policy that can be loaded: how bad, where, what, and how to mend it."""

import enum

import msgspec


class Severity(enum.StrEnum):
    """How bad a finding is: an error does not do what was meant, a warning may not."""

    ERROR = "error"
    WARNING = "warning"


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """Something a person should know before a policy rules."""

    severity: Severity
    where: str
    message: str
    fix: str


def error(where: str, message: str, fix: str) -> Finding:
    """A rule that does not do what it was written for."""
    return Finding(severity=Severity.ERROR, where=where, message=message, fix=fix)


def warning(where: str, message: str, fix: str) -> Finding:
    """Something that may be meant, and is worth a second look."""
    return Finding(severity=Severity.WARNING, where=where, message=message, fix=fix)
