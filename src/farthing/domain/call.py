"""Who asks for what: the identity behind a call and the facts of its request."""

from collections.abc import Mapping

import msgspec

from farthing.domain.premium_pass import PremiumPass


class Identity(msgspec.Struct, frozen=True, kw_only=True):
    """Who pays for a call. It comes from the key or the process, never from the caller's labels.

    passes: premium passes that it holds or held; each says itself when it counts.
    """

    environment: str
    key: str | None = None  # the label of the key: "alice"
    key_id: str | None = None
    group: str | None = None
    developer: str | None = None
    wallet: str | None = None
    passes: tuple[PremiumPass, ...] = ()


class RequestFacts(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a request asks for, read from its body and path without understanding its content.

    model: the model asked for.
    output_cap: the largest of all aliases of the caller's output limit; None when none was sent.
    choices: how many answers are asked for at once; each may use the whole output cap.
    input_bytes: bytes of everything in the body; a token is at least one byte of it.
    tools: how many tools are offered; providers add hidden tokens for them.
    unbounded: why billed input may exceed what the body holds ("web_search", "previous_response_id").
    thinking_tokens: tokens of thinking asked for by number; an output cap must exceed them.
    cache_write_ttl: longest life time asked for a prompt cache, "5m" or "1h"; None when none was asked.
    service_tier: the tier asked for; the answer may name another.
    wants_usage: the caller itself asked for usage in the stream.
    media_tokens: most tokens that pictures in the body may cost beyond its bytes; to be added to any
        count or bound of the body.
    media: False only where the body holds no sound, pictures or film.
    fees: extras that are billed apiece and at most how many of each, by the name in ``Usage.requests``.
    generates: False where the answer has no billed output (embeddings, counting).
    cappable: an output cap can be sent upstream; False where the provider takes none.
    free: nothing is billed (counting tokens).
    provider: the provider that the path names; only its targets may answer.
    input_tokens: an exact count of the text, where one had to be made.
    """

    dialect: str
    model: str
    stream: bool = False
    output_cap: int | None = None
    choices: int = 1
    input_bytes: int = 0
    tools: int = 0
    unbounded: tuple[str, ...] = ()
    thinking_tokens: int | None = None
    cache_write_ttl: str | None = None
    service_tier: str | None = None
    wants_usage: bool = False
    media_tokens: int = 0
    media: bool = True
    fees: Mapping[str, int] = {}
    generates: bool = True
    cappable: bool = True
    free: bool = False
    provider: str | None = None
    input_tokens: int | None = None

    def by_path(self, provider: str | None) -> "RequestFacts":
        """The same request on a path that names a provider."""
        return self if provider is None else msgspec.structs.replace(self, provider=provider)


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """One call to one provider: the unit that is authorized and settled.

    call_id is minted by us, one per attempt; attempts of one logical request share request_id.
    Every label is a string; run ties the calls of one agent or workflow together.
    """

    call_id: str
    request_id: str
    at_us: int
    identity: Identity
    facts: RequestFacts
    attempt: int = 1
    labels: Mapping[str, str] = {}
    run: str | None = None
    claimed_environment: str | None = None
    tags_invalid: bool = False
    prompt_hash: str | None = None
