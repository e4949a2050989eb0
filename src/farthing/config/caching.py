"""Find out which environments keep answers: by their own word, or by that of their file."""

from collections.abc import Sequence

from farthing.config.schema import Cache
from farthing.config.source import Source
from farthing.domain.errors import Problem
from farthing.policy.rules import Caching


class Caches:
    """What files say of the cache at their top level: for their environment, or for all."""

    def __init__(self, sources: Sequence[Source], problems: list[Problem]) -> None:
        self._said: dict[str | None, Cache] = {}
        for source in sources:
            section = source.section.cache
            if section is None:
                continue
            earlier = self._said.setdefault(source.environment, section)
            if earlier != section:
                whose = source.environment or "every environment"
                problems.append(
                    source.problem(
                        ("cache",),
                        f"another file says something else of the cache of {whose}",
                        "say it once, or under environments",
                    )
                )

    def rule(self, environment: str, own: Cache | None) -> Caching | None:
        """How an environment keeps answers; None where it keeps none."""
        section = own or self._said.get(environment) or self._said.get(None)
        return section.rule if section is not None else None
