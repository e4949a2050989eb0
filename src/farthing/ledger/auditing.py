"""Who governed what: the line of the audit for each change that somebody makes. Pure."""

import msgspec

from farthing.domain.money import dollars
from farthing.domain.period import iso_utc
from farthing.domain.premium_pass import PremiumPass
from farthing.domain.stop import Stop
from farthing.ledger.archiving import Partition
from farthing.ledger.entries import Unit
from farthing.ledger.people import KeyRow, Token
from farthing.ledger.raising import RaiseRow
from farthing.ledger.report_store import Annotation
from farthing.ledger.requests import BudgetRequest, Ruling


class Act(msgspec.Struct, gc=False, frozen=True, kw_only=True):
    """Something that somebody did: who, when, what, from what to what, and why.

    action: a noun and a verb, such as "key create"; about: the id or name of what was changed.
    """

    at_us: int
    by: str
    action: str
    about: str
    before: str | None = None
    after: str | None = None
    reason: str = ""


class WantedActs(msgspec.Struct, frozen=True, kw_only=True):
    """Which acts are asked for; None takes all."""

    action: str | None = None
    by: str | None = None
    about: str | None = None
    since_us: int | None = None
    until_us: int | None = None

    def has(self, act: Act) -> bool:
        """Whether an act is one of them. An action may be told by its noun alone."""
        return (
            (self.action is None or f"{act.action} ".startswith(f"{self.action} "))
            and self.by in (None, act.by)
            and self.about in (None, act.about)
            and (self.since_us is None or act.at_us >= self.since_us)
            and (self.until_us is None or act.at_us < self.until_us)
        )


def stop_act(stop: Stop) -> Act:
    """Calls were stopped."""
    return Act(
        at_us=stop.at_us, by=stop.by, action="stop", about=stop.stop_id, after=stop.scope, reason=stop.reason
    )


def resume_act(stop: Stop, *, at_us: int, by: str, reason: str) -> Act:
    """A stop was lifted."""
    return Act(at_us=at_us, by=by, action="resume", about=stop.stop_id, before=stop.scope, reason=reason)


def annotation_act(annotation: Annotation) -> Act:
    """Somebody said about a feature why it costs more for a while."""
    return Act(
        at_us=annotation.at_us,
        by=annotation.by,
        action="annotate",
        about=annotation.feature,
        after=f"ships {iso_utc(annotation.ships_at_us)}, until {iso_utc(annotation.until_us)}",
        reason=annotation.note,
    )


def grant_act(row: PremiumPass) -> Act:
    """A premium pass was granted."""
    return Act(
        at_us=row.at_us,
        by=row.by,
        action="pass grant",
        about=row.pass_id,
        after=f"{_of_pass(row)} until {iso_utc(row.until_us)}",
        reason=row.reason,
    )


def pass_end_act(row: PremiumPass, *, at_us: int, by: str, reason: str) -> Act:
    """A premium pass was ended before its time."""
    return Act(at_us=at_us, by=by, action="pass end", about=row.pass_id, before=_of_pass(row), reason=reason)


def lapse_act(row: PremiumPass) -> Act:
    """The time of a premium pass was over."""
    return Act(
        at_us=row.until_us, by="farthing", action="pass lapse", about=row.pass_id, before=_of_pass(row)
    )


def _of_pass(row: PremiumPass) -> str:
    return f"{row.model} for {row.holder}, with {dollars(row.budget_nanodollars)}"


def raise_act(row: RaiseRow, unit: Unit) -> Act:
    """The limit of an account was raised; a wallet is an account that credits raise."""
    return Act(
        at_us=row.at_us,
        by=row.by,
        action="raise",
        about=row.account,
        before=_amount(row.limit_before, unit),
        after=_amount(row.limit_after, unit),
        reason=row.reason,
    )


def key_act(verb: str, row: KeyRow, *, at_us: int, by: str) -> Act:
    """A key was created, rotated or revoked."""
    return Act(
        at_us=at_us, by=by, action=f"key {verb}", about=row.key_id, after=f"{row.label} of {row.environment}"
    )


def rotation_act(row: KeyRow, *, at_us: int, by: str, old_until_us: int) -> Act:
    """A key was given another secret."""
    act = key_act("rotate", row, at_us=at_us, by=by)
    return msgspec.structs.replace(act, before=f"a secret that works until {iso_utc(old_until_us)}")


def policy_act(digest: str, *, at_us: int, by: str, before: str | None = None) -> Act:
    """A policy came in force; the same one again is no news."""
    return Act(at_us=at_us, by=by, action="policy use", about="policy", before=before, after=digest)


def token_act(verb: str, row: Token, *, at_us: int, by: str) -> Act:
    """A token was created or revoked."""
    return Act(
        at_us=at_us, by=by, action=f"token {verb}", about=row.token_id, after=f"{row.name}, {row.role.value}"
    )


def request_act(row: BudgetRequest) -> Act:
    """More of a budget was asked for."""
    return Act(
        at_us=row.at_us,
        by=row.by,
        action="request create",
        about=row.request_id,
        after=f"{dollars(row.amount_nanodollars)} more of {row.budget}",
        reason=row.reason,
    )


def ruling_act(row: BudgetRequest, ruling: Ruling) -> Act:
    """A request was answered."""
    granted = ruling.granted_nanodollars
    return Act(
        at_us=ruling.at_us,
        by=ruling.by,
        action="request deny" if granted is None else "request approve",
        about=row.request_id,
        before=f"{dollars(row.amount_nanodollars)} more of {row.budget}, asked by {row.by}",
        after="nothing" if granted is None else f"{dollars(granted)} more of {row.budget}",
        reason=ruling.reason,
    )


def archive_act(row: Partition) -> Act:
    """The entries of a month went to a file."""
    return Act(
        at_us=row.archived_at_us,
        by=row.archived_by,
        action="ledger archive",
        about=row.month,
        after=f"{row.entries} entries in {row.file}",
    )


def forget_act(row: Partition, *, at_us: int, by: str, reason: str) -> Act:
    """The archived entries of a month were deleted; their sums stay."""
    return Act(
        at_us=at_us,
        by=by,
        action="ledger forget",
        about=row.month,
        before=f"{row.entries} entries in {row.file}",
        after="their sums alone",
        reason=reason,
    )


def _amount(number: int, unit: Unit) -> str:
    return dollars(number) if unit is Unit.NANODOLLARS else f"{number} {unit.value}"
