"""The table at the end of a run: every recording is in exactly one row of counts."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from conformance.recordings import RECORDINGS, Recording


@dataclass
class Report:
    """What a run has shown so far."""

    agreed: dict[str, Recording] = field(default_factory=dict)
    refused: dict[str, Recording] = field(default_factory=dict)
    costs: dict[str, str] = field(default_factory=dict)
    marked: dict[str, list[str]] = field(default_factory=dict)
    price_ours: list[str] = field(default_factory=list)
    chopped: list[str] = field(default_factory=list)
    cuts: int = 0

    def lines(self) -> Iterator[str]:
        """Write it."""
        yield f"{'dialect':<22}{'recorded':>9}{'agree':>7}{'refused':>9}"
        recorded = Counter(recording.api for recording in RECORDINGS)
        agreed = Counter(recording.api for recording in self.agreed.values())
        refused = Counter(recording.api for recording in self.refused.values())
        for api, count in sorted(recorded.items()):
            yield f"{api:<22}{count:>9}{agreed[api]:>7}{refused[api]:>9}"
        yield f"{'all':<22}{len(RECORDINGS):>9}{len(self.agreed):>7}{len(self.refused):>9}"
        yield from self._by_name()

    def _by_name(self) -> Iterator[str]:
        yield ""
        yield "refused by the gateway, nothing sent upstream:"
        for name, recording in sorted(self.refused.items()):
            yield f"  {name}: {recording.why_refused}"
        yield "cost, against the one that the provider reported, at the prices of the recording day:"
        for name, verdict in sorted(self.costs.items()):
            yield f"  {name}: {verdict}"
        yield "marked on the entry when priced (a rate or fee the book lacks, shares that contradict):"
        for name, anomalies in sorted(self.marked.items()):
            yield f"  {name}: {'; '.join(anomalies)}"
        yield f"price ours ({len(self.price_ours)}): {', '.join(sorted(self.price_ours))}"
        yield (
            f"streams that came byte by byte through the gateway with the same entry: {len(self.chopped)}; "
            f"cut positions tried on the meters: {self.cuts:,}"
        )
