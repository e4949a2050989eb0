"""Billed input that is not in the body, or that costs more tokens there than it has bytes."""

from collections.abc import Iterator

# How often a hosted tool is taken to be used where the request does not bound it.
USES_UNBOUNDED = 10


class HiddenInput:
    """Collects why the bytes of a body do not bound its input, and what stated bounds add to them."""

    def __init__(self) -> None:
        self._reasons: dict[str, None] = {}
        self.media_tokens = 0
        self.fees: dict[str, int] = {}

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why the input is unbounded, each reason once, in order of appearance."""
        return tuple(self._reasons)

    def because(self, reason: str) -> None:
        """Note one reason why the input is unbounded."""
        self._reasons[reason[:64]] = None

    def pays_for(self, extra: str, uses_most: int | None) -> None:
        """Note an extra that is billed apiece; where nobody bounds its uses, the stated number counts."""
        uses = USES_UNBOUNDED if uses_most is None else uses_most
        self.fees[extra] = self.fees.get(extra, 0) + uses

    def media(self, tokens_most: int) -> None:
        """Note a picture in the body, with the most tokens that it can cost."""
        self.media_tokens += tokens_most


def objects_within(value: object, *containers: str) -> Iterator[dict[str, object]]:
    """Yield every object in a value, going into lists and the named members only."""
    waiting = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, list):
            waiting.extend(reversed(item))
        elif isinstance(item, dict):
            yield item
            waiting.extend(item[name] for name in containers if name in item)
