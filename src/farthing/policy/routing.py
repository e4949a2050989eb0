"""Which route a call takes, and in which order its targets are tried: a pure function of what is told."""

from collections.abc import Callable, Mapping, Sequence

import msgspec

from farthing.domain.call import Call
from farthing.domain.names import matches, names_model
from farthing.policy.rules import Candidate, Policy, Route, Strategy, Target

CHEAPER = "cheaper"
ROUTED = "routed"
FALLBACK = "fallback"

# A draw is a number below this; it stands for the fraction that it is of it.
DRAWS = 1 << 64
# The golden ratio as such a fraction: its multiples never bunch together, so shares of draws are kept
# after a few hundred calls already, and not only in the long run.
_GOLDEN = 0x9E3779B97F4A7C15

_ANY_ROUTE = Route()
_NO_FACT = "(none)"
_IDENTITY_FACTS = ("environment", "group", "key", "developer")


class TargetFacts(msgspec.Struct, frozen=True):
    """What is known of a target at one moment.

    requests, tokens: what it was sent and what it used in the last minute.
    latency_us: how long it lately took to begin its answers; None where it gave none.
    resting: it failed a moment ago and is tried last.
    """

    requests: int = 0
    tokens: int = 0
    latency_us: int | None = None
    resting: bool = False


class Hop(msgspec.Struct, frozen=True):
    """A further attempt of one call: the targets that failed it, and what became of the last of them."""

    tried: tuple[str, ...]
    why: str

    @property
    def rule(self) -> str:
        """What the entry of the attempt says of it."""
        return f"fallback: {self.why}"


def draw_of(turn: int) -> int:
    """The draw of the so manieth call."""
    return turn * _GOLDEN % DRAWS


def route_of(call: Call, policy: Policy) -> Route:
    """The route of a call: the first of the policy that matches it."""
    for route in policy.routes:
        for fact, patterns in route.match.items():
            if not _has(call, fact, patterns):
                break
        else:
            return route
    return _ANY_ROUTE


def _has(call: Call, fact: str, patterns: tuple[str, ...]) -> bool:
    matching: Callable[[str, str], bool] = matches
    if fact == "model":
        value, matching = call.facts.model, names_model
    elif fact in _IDENTITY_FACTS:
        value = getattr(call.identity, fact) or _NO_FACT
    else:
        value = (call.run if fact == "run" else call.labels.get(fact)) or _NO_FACT
    return True in [matching(pattern, value) for pattern in patterns]


def after(candidates: tuple[Candidate, ...], hop: Hop) -> tuple[Candidate, ...]:
    """What is left of the candidates once targets have failed."""
    return tuple(
        msgspec.structs.replace(one, rules=(*one.rules, hop.rule))
        for one in candidates
        if one.target.id not in hop.tried
    )


def others_remain(candidates: Sequence[Candidate], taken: Candidate) -> bool:
    """Tell whether another target might serve a call, should the one taken fail.

    Cheaper models stand by for a limit, not for a failure.
    """
    return any(
        one.target.id != taken.target.id and (one.reason != CHEAPER or taken.reason == CHEAPER)
        for one in candidates
    )


def order(
    candidates: Sequence[Candidate],
    strategy: Strategy,
    facts: Mapping[str, TargetFacts],
    *,
    draw: int,
    costs: Sequence[int],
) -> list[int]:
    """The places of the candidates in the order to try them. Pure.

    Only candidates that stand for the same thing change places: a cheaper model stays behind what was
    asked for. A target that rests comes after the others, and is not left out.

    facts: by target id. costs: the most that this very call can cost at each candidate.
    """
    ordered: list[int] = []
    for places in _alike(candidates):
        ordered += places if len(places) == 1 else _ranked(places, candidates, strategy, facts, draw, costs)
    if any(fact.resting for fact in facts.values()):
        ordered.sort(key=lambda place: _rest(candidates[place], facts))
    return ordered


def _alike(candidates: Sequence[Candidate]) -> list[list[int]]:
    groups: dict[tuple[str, str], list[int]] = {}
    for place, one in enumerate(candidates):
        model = one.model if one.reason == CHEAPER else ""
        groups.setdefault((one.reason, model), []).append(place)
    return list(groups.values())


def _rest(candidate: Candidate, facts: Mapping[str, TargetFacts]) -> tuple[bool, bool]:
    return candidate.reason == CHEAPER, facts[candidate.target.id].resting


def _ranked(
    places: list[int],
    candidates: Sequence[Candidate],
    strategy: Strategy,
    facts: Mapping[str, TargetFacts],
    draw: int,
    costs: Sequence[int],
) -> list[int]:
    match strategy:
        case Strategy.ORDERED:
            return places
        case Strategy.WEIGHTED_ROUND_ROBIN:
            return _drawn(places, candidates, draw)
        case Strategy.LOWEST_COST:
            return sorted(places, key=lambda place: costs[place])
        case Strategy.LOWEST_LATENCY:
            # Who was never asked goes first, or nobody would ever learn how fast it is.
            return sorted(places, key=lambda place: facts[candidates[place].target.id].latency_us or 0)
        case Strategy.USAGE_BASED:
            share = _share_of([candidates[place].target for place in places], facts)
            return sorted(places, key=lambda place: share(candidates[place].target))


def _drawn(places: list[int], candidates: Sequence[Candidate], draw: int) -> list[int]:
    """Draw one after the other by weight; the same number decides about all of them."""
    left, drawn = list(places), []
    while len(left) > 1:
        weights = [candidates[place].target.weight for place in left]
        point = draw * sum(weights)
        ticket, draw = point // DRAWS, point % DRAWS
        for number, weight in enumerate(weights):
            if ticket < weight:
                # What the draw says within the winner's share decides about those behind it.
                draw = (ticket * DRAWS + draw) // weight
                drawn.append(left.pop(number))
                break
            ticket -= weight
    return drawn + left


def _share_of(
    targets: Sequence[Target], facts: Mapping[str, TargetFacts]
) -> Callable[[Target], tuple[int, int]]:
    """How much of its limits each target used in the last minute, in millionths, then in requests.

    Where nobody said what a target grants, it is taken to grant as much as the largest beside it.
    """
    requests_most = max((target.requests_per_minute or 0 for target in targets), default=0)
    tokens_most = max((target.tokens_per_minute or 0 for target in targets), default=0)

    def share(target: Target) -> tuple[int, int]:
        fact = facts[target.id]
        requests = _millionths(fact.requests, target.requests_per_minute or requests_most)
        tokens = _millionths(fact.tokens, target.tokens_per_minute or tokens_most)
        return max(requests, tokens), fact.requests

    return share


def _millionths(used: int, limit: int) -> int:
    return used * 1_000_000 // limit if limit else 0
