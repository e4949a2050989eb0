"""The result of one check: its name, the verdict, the figure behind it, and how to go on."""

import enum

import msgspec


class Verdict(enum.StrEnum):
    """How a check ended. A note is worth knowing and no failure."""

    GOOD = "good"
    BAD = "bad"
    NOTE = "note"


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that was looked at."""

    name: str
    verdict: Verdict
    figure: str = ""
    fix: str = ""

    def shown(self) -> dict[str, object]:
        """The same for programs."""
        return {
            "name": self.name,
            "verdict": self.verdict.value,
            "figure": self.figure,
            "fix": self.fix or None,
        }


def good(name: str, figure: str = "") -> Check:
    """It is as it should be."""
    return Check(name=name, verdict=Verdict.GOOD, figure=figure)


def bad(name: str, figure: str = "", *, fix: str = "") -> Check:
    """It is not."""
    return Check(name=name, verdict=Verdict.BAD, figure=figure, fix=fix)


def note(name: str, figure: str = "", *, fix: str = "") -> Check:
    """It is worth knowing."""
    return Check(name=name, verdict=Verdict.NOTE, figure=figure, fix=fix)


def equal(name: str, expected: object, found: object, figure: str) -> Check:
    """It is good if what was found is what was expected."""
    if expected == found:
        return good(name, figure)
    return bad(name, f"expected {expected}, found {found}", fix="please report this: it must not happen")
