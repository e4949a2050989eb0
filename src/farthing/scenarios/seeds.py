"""The fourteen sets of scenarios by name: each is small, exact, and made to be checked against a figure."""

from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType

from farthing.scenarios.rows import Row
from farthing.scenarios.seeds_environments import g1, g4, g5, g6, g9
from farthing.scenarios.seeds_limits import g11
from farthing.scenarios.seeds_people import g3

SETS: Mapping[str, Callable[[], Iterator[Row]]] = MappingProxyType({
    "G1": g1,
    "G3": g3,
    "G4": g4,
    "G5": g5,
    "G6": g6,
    "G9": g9,
    "G11": g11,
})  # fmt: skip
