"""The fourteen sets of scenarios by name: each is small, exact, and made to be checked against a figure."""

from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType

from farthing.scenarios.rows import Row
from farthing.scenarios.seeds_environments import g1, g4, g5, g6, g9
from farthing.scenarios.seeds_limits import g7, g11, g13, g14
from farthing.scenarios.seeds_models import g8, g10
from farthing.scenarios.seeds_people import g2, g3, g12

SETS: Mapping[str, Callable[[], Iterator[Row]]] = MappingProxyType({
    "G1": g1,
    "G2": g2,
    "G3": g3,
    "G4": g4,
    "G5": g5,
    "G6": g6,
    "G7": g7,
    "G8": g8,
    "G9": g9,
    "G10": g10,
    "G11": g11,
    "G12": g12,
    "G13": g13,
    "G14": g14,
})  # fmt: skip
