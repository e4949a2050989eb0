"""Check secrets: one provider key in two environments, keys of callers in clear text."""

from collections.abc import Iterator, Mapping

from farthing.policy.finding import Finding, warning
from farthing.policy.rules import Policy, Target


def secret_findings(policy: Policy, secrets: Mapping[str, str] | None) -> Iterator[Finding]:
    """What there is to say about secrets; none of them is ever shown.

    secrets: the variables that are set; two of them may hold the very same key.
    """
    yield from _shared(policy, secrets or {})
    for group in policy.groups:
        if group.key_in_clear_text:
            yield warning(
                f"consumer_groups.{group.name}.api_key",
                "the key stands in the file in clear text, for all who can read it",
                "move it to a variable and write  api_key_ref: {env: NAME}",
            )


def _shared(policy: Policy, secrets: Mapping[str, str]) -> Iterator[Finding]:
    """Targets made for one environment show that keys were meant to be kept apart."""
    users: dict[str, dict[str, None]] = {}
    places: dict[str, dict[str, None]] = {}
    for target in policy.targets:
        place = _place_of(target)
        if place is None:
            continue
        # The value tells where two variables hold one key; what is not set here has only its name.
        key = secrets.get(place) or place
        users.setdefault(key, {}).update(dict.fromkeys(target.environments))
        places.setdefault(key, {})[place] = None
    for key, found in users.items():
        if len(found) > 1:
            held = " and ".join(places[key])
            yield warning(
                "providers.targets",
                f"{' and '.join(sorted(found))} use the same provider key, {held}",
                "make a key for each environment, so that one can be revoked without the other",
            )


def _place_of(target: Target) -> str | None:
    return target.secret_env or target.secret_file
