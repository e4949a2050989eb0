"""What is known of a model besides its price: how much it reads and writes, whether it thinks."""

import msgspec

from farthing.prices.names import undated
from farthing.prices.records import FactsFile, FactsRecord, ModelRecord


class ModelFacts(msgspec.Struct, frozen=True, kw_only=True):
    """Limits of a model; None where nobody says.

    output_tokens_max: the most it writes in one answer.
    context_window: the most it reads and writes in one call.
    reasoning: it may spend output on thinking that nobody sees.
    vocabulary: the name of its tokens' vocabulary that ships offline.
    output_floor: the smallest output cap that the provider accepts.
    """

    output_tokens_max: int | None = None
    context_window: int | None = None
    reasoning: bool = False
    vocabulary: str | None = None
    output_floor: int = 1


class FactsBook:
    """The facts file, asked by provider and model."""

    def __init__(self, file: FactsFile) -> None:
        self._providers = file.providers

    @property
    def makers(self) -> tuple[str, ...]:
        """The providers whose own models are listed."""
        return tuple(self._providers)

    def of(self, provider: str, record: ModelRecord | None, name: str) -> ModelFacts | None:
        """Facts of a name, else of the model that it means; None where neither is listed."""
        listed = self._providers.get(provider, {})
        names = [name.lower(), undated(name.lower())]
        if record is not None:
            names.insert(1, record.model)
        own = next((listed[known] for known in names if known in listed and known != "*"), None)
        if own is None:
            return None
        shared = listed.get("*", FactsRecord())
        window = own.context_window or (record.context_window if record is not None else None)
        return ModelFacts(
            output_tokens_max=own.output_tokens_max,
            context_window=window,
            reasoning=bool(own.reasoning),
            vocabulary=own.vocabulary,
            output_floor=own.output_floor or shared.output_floor or 1,
        )
