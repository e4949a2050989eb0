"""Annotations: a feature that is being built may make development dearer for a while; somebody said so."""

from collections.abc import Iterable
from datetime import date, timedelta

import msgspec

from farthing.domain.period import iso_utc
from farthing.ledger.report_store import Annotation
from farthing.ledger.store import Store
from farthing.reports.spans import midnight_us

# How long after a feature shipped its spend may stay up, unless its annotation says otherwise.
GRACE_DAYS = 14
TEXT_MAX = 200
FIRST_YEAR, LAST_YEAR = 2000, 2200


class BadAnnotation(ValueError):
    """It cannot be kept like that; the message says why."""


def new_annotation(
    *, feature: str, starts: date, ships: date, until: date | None, note: str, by: str, at_us: int
) -> Annotation:
    """Check and make an annotation; without an end it counts until GRACE_DAYS after the feature ships."""
    feature = feature.strip()
    for what, text in {"feature": feature, "reason": note, "author": by}.items():
        if len(text) > TEXT_MAX or not _is_text(text):
            raise BadAnnotation(f"the {what} must be text of at most {TEXT_MAX} letters")
    if not feature:
        raise BadAnnotation("it must name the feature, as its calls do in the label feature")
    for day in (starts, ships, until):
        if day is not None and not FIRST_YEAR <= day.year <= LAST_YEAR:
            raise BadAnnotation(f"{day} is not a day from {FIRST_YEAR} to {LAST_YEAR}")
    if ships < starts:
        raise BadAnnotation(f"the feature would ship ({ships}) before work on it starts ({starts})")
    until = ships + timedelta(days=GRACE_DAYS) if until is None else until
    if until <= starts:
        raise BadAnnotation(f"it would expire ({until}) before work on the feature starts ({starts})")
    return Annotation(
        feature=feature,
        starts_at_us=midnight_us(starts),
        ships_at_us=midnight_us(ships),
        until_us=midnight_us(until),
        note=note,
        by=by,
        at_us=at_us,
    )


def _is_text(text: str) -> bool:
    """Whether a ledger can keep it: half a sign of two cannot be written."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def in_force(annotations: Iterable[Annotation]) -> list[Annotation]:
    """What was said last of each feature and start, the latest start first."""
    latest: dict[tuple[str, int], Annotation] = {}
    for one in sorted(annotations, key=lambda one: one.at_us):
        latest[(one.feature, one.starts_at_us)] = one
    return sorted(latest.values(), key=lambda one: (-one.starts_at_us, one.feature))


def accepts(annotation: Annotation, *, since_us: int, at_us: int) -> bool:
    """Whether it excuses a span that began at a moment, judged at another one."""
    return annotation.starts_at_us <= at_us < annotation.until_us and since_us < annotation.until_us


def end_annotations(store: Store, feature: str, *, by: str, note: str, at_us: int) -> list[Annotation]:
    """Let every annotation of a feature that has not expired be over; answer them as they are now."""
    ended = [
        msgspec.structs.replace(one, until_us=at_us, note=note or one.note, by=by, at_us=at_us)
        for one in in_force(store.annotations())
        if one.feature == feature and one.until_us > at_us
    ]
    for one in ended:
        store.annotate(one)
    return ended


def annotation_json(annotation: Annotation, *, now_us: int) -> dict[str, object]:
    """Show an annotation."""
    return {
        "feature": annotation.feature,
        "starts_at": iso_utc(annotation.starts_at_us),
        "ships_at": iso_utc(annotation.ships_at_us),
        "until": iso_utc(annotation.until_us),
        "expired": annotation.until_us <= now_us,
        "note": annotation.note,
        "by": annotation.by,
        "at": iso_utc(annotation.at_us),
    }
