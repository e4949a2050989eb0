"""Which offers of a call a live stop refuses. Pure."""

from collections.abc import Mapping, Sequence

from farthing.domain.names import matches, names_model
from farthing.domain.stop import LABEL, Stop
from farthing.ledger.entries import EntryFacts, Hold, Offer

# Labels by which a workflow calls itself, where no budget has its name.
_WORKFLOW_LABELS = ("workflow", "workflow_id")


def places_left(hold: Hold, stops: Sequence[Stop]) -> tuple[int, ...]:
    """The places of the offers that no stop refuses."""
    return tuple(
        [place for place, offer in enumerate(hold.offers) if stop_of(offer, hold.facts, stops) is None]
    )


def stop_of(offer: Offer, facts: EntryFacts, stops: Sequence[Stop]) -> Stop | None:
    """The stop that refuses an offer, the oldest of them; None where it may be made."""
    for stop in stops:
        if covers(stop.match, offer, facts):
            return stop
    return None


def covers(match: Mapping[str, str], offer: Offer, facts: EntryFacts) -> bool:
    """Whether a call has everything that a stop names, if it is made as offered."""
    return all(_is(name, wanted, offer, facts) for name, wanted in match.items())


def _is(name: str, wanted: str, offer: Offer, facts: EntryFacts) -> bool:
    if name == "model":
        return names_model(wanted, offer.model)
    return any(value is not None and matches(wanted, value) for value in _values(name, offer, facts))


def _values(name: str, offer: Offer, facts: EntryFacts) -> Sequence[str | None]:
    """What a call has under a name; one of several must be meant."""
    match name:
        case "environment":
            return (facts.environment,)
        case "group":
            return (facts.group,)
        case "key":
            return facts.key, facts.key_id
        case "developer":
            return (facts.developer,)
        case "run":
            return (facts.run,)
        case "provider":
            return (offer.provider,)
        case "workflow":
            own = [facts.labels.get(label) for label in _WORKFLOW_LABELS]
            return (*[claim.budget for claim in offer.claims], *offer.unpaid, facts.run, *own)
        case _:
            return (facts.labels.get(name.removeprefix(LABEL)),)
