"""What is known of a model besides its price: how much it reads and writes, whether it thinks."""

import msgspec

from farthing.prices.names import undated
from farthing.prices.records import FactsFile, FactsRecord, ModelRecord

# Assumed, and sent upstream as the cap, where no provider says how much a model can write.
OUTPUT_TOKENS_UNKNOWN = 4096


class ModelFacts(msgspec.Struct, frozen=True, kw_only=True):
    """Limits of a model.

    output_tokens_max: the most it writes in one answer; 4,096 where unknown.
    context_window: the most it reads and writes in one call; None where unknown.
    reasoning: it may spend output on thinking that nobody sees.
    vocabulary: the name of its tokens' vocabulary that ships offline; None where none does.
    output_floor: the smallest output cap that the provider accepts.
    known: False where all of this is assumed.
    """

    output_tokens_max: int = OUTPUT_TOKENS_UNKNOWN
    context_window: int | None = None
    reasoning: bool = False
    vocabulary: str | None = None
    output_floor: int = 1
    known: bool = False


class FactsBook:
    """The facts file, asked by provider and model."""

    def __init__(self, file: FactsFile) -> None:
        self._file = file
        self._remembered: dict[tuple[str, str], ModelFacts] = {}

    def of(self, provider: str, record: ModelRecord | None, model: str) -> ModelFacts:
        """Facts of a name, else of the model it means, completed by those of the whole provider."""
        listed = self._file.providers.get(provider, {})
        name = model.lower()
        key = (provider, name if name in listed or record is None else record.model)
        if record is None and name not in listed and undated(name) not in listed:
            return _facts(FactsRecord(), listed.get("*", FactsRecord()), None, known=False)
        if key not in self._remembered:
            own = listed.get(key[1]) or listed.get(undated(name)) or FactsRecord()
            known = own.output_tokens_max is not None
            self._remembered[key] = _facts(own, listed.get("*", FactsRecord()), record, known=known)
        return self._remembered[key]


def _facts(own: FactsRecord, shared: FactsRecord, record: ModelRecord | None, *, known: bool) -> ModelFacts:
    priced_window = record.context_window if record is not None else None
    return ModelFacts(
        output_tokens_max=own.output_tokens_max or OUTPUT_TOKENS_UNKNOWN,
        context_window=own.context_window or priced_window,
        reasoning=bool(own.reasoning if own.reasoning is not None else shared.reasoning),
        vocabulary=own.vocabulary or shared.vocabulary,
        output_floor=own.output_floor or shared.output_floor or 1,
        known=known,
    )
