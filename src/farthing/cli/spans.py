"""Moments that commands are given as a span from now, or as a date."""

from datetime import UTC, datetime

from farthing.cli.door import CommandError


def after(now_us: int, span: str | None) -> int | None:
    """The moment a span from now, such as 30d; None where none is given."""
    from farthing.domain.span import BadSpan, span_us

    if span is None:
        return None
    try:
        return now_us + span_us(span)
    except BadSpan as error:
        raise CommandError(str(error), fix="write it like 90m, 2h, 30d or 4w") from error


def until(now_us: int, text: str | None) -> int | None:
    """A moment given as a date or time (UTC where no zone is told), or as a span from now."""
    from farthing.domain.period import to_microseconds

    if text is None:
        return None
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return after(now_us, text)
    return to_microseconds(at if at.tzinfo else at.replace(tzinfo=UTC))
