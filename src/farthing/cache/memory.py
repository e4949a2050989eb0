"""Answers kept in memory, gone with the process: the reference for every other place."""

from collections import OrderedDict
from collections.abc import Sequence

from farthing.cache.kept import Filled, Kept, Room


class MemoryAnswers:
    """Keeps answers of each environment in the order of their use."""

    def __init__(self) -> None:
        self._kept: dict[str, OrderedDict[bytes, Kept]] = {}
        self._bytes: dict[str, int] = {}

    def find(self, environment: str, keys: Sequence[bytes], *, since_us: int) -> tuple[int, Kept] | None:
        """The answer to the first of these keys that was stored after a moment, with the key's place."""
        answers = self._kept.get(environment) or OrderedDict[bytes, Kept]()
        for place, key in enumerate(keys):
            kept = answers.get(key)
            if kept is not None and kept.stored_at_us > since_us:
                return place, kept
        return None

    def use(self, environment: str, key: bytes) -> None:
        """Say that an answer was used just now."""
        answers = self._kept.get(environment)
        if answers is not None and key in answers:
            answers.move_to_end(key)

    def keep(self, environment: str, key: bytes, kept: Kept, room: Room) -> None:
        """Keep an answer in the place of an older one, and let go of what there is no room for."""
        answers = self._kept.setdefault(environment, OrderedDict())
        self._drop(environment, key)
        if len(kept.body) > room.bytes_max:
            return
        self._drop_outlived(environment, kept.stored_at_us - room.kept_us)
        answers[key] = kept
        self._bytes[environment] = self._bytes.get(environment, 0) + len(kept.body)
        while len(answers) > room.entries_max or self._bytes[environment] > room.bytes_max:
            self._drop(environment, next(iter(answers)))

    def clear(self, environment: str | None = None) -> int:
        """Forget every answer of an environment, or of all; says how many."""
        names = list(self._kept) if environment is None else [environment]
        cleared = sum(len(self._kept.pop(name, ())) for name in names)
        for name in names:
            self._bytes.pop(name, None)
        return cleared

    def filled(self) -> list[Filled]:
        """What is kept, by environment."""
        return [
            Filled(
                environment=name,
                entries=len(answers),
                bytes=self._bytes[name],
                oldest_at_us=min(kept.stored_at_us for kept in answers.values()),
            )
            for name, answers in sorted(self._kept.items())
            if answers
        ]

    def close(self) -> None:
        """Let go of everything."""
        self._kept.clear()
        self._bytes.clear()

    def _drop(self, environment: str, key: bytes) -> None:
        dropped = self._kept[environment].pop(key, None)
        if dropped is not None:
            self._bytes[environment] -= len(dropped.body)

    def _drop_outlived(self, environment: str, until_us: int) -> None:
        """Let go of what nobody can find any more, as far as it was not used for longest."""
        answers = self._kept[environment]
        while answers and next(iter(answers.values())).stored_at_us <= until_us:
            self._drop(environment, next(iter(answers)))
