"""Answer a call with what an identical one bought: looked up after the rules, before any money is held."""

from collections.abc import Iterable, Sequence

import msgspec

from farthing.cache.canonical import NoCanonicalForm, canonical, digest_of
from farthing.cache.kept import Answers, Kept, Room
from farthing.cache.response_cache import ResponseCache
from farthing.domain.call import Call
from farthing.domain.errors import LedgerUnavailable, Refusal
from farthing.domain.period import MICROSECONDS
from farthing.engine.entry_facts import entry_facts
from farthing.engine.governor import Governor, Grant
from farthing.engine.offers import offer_of, quotes_of
from farthing.engine.proposing import proposal_for
from farthing.engine.terms import NO_TERMS, Terms
from farthing.ledger.entries import Answer, Booked, Offer, Outcome, Record, Unit
from farthing.policy.rules import Caching, Policy
from farthing.wire.dialect import Request
from farthing.wire.surfaces import Surface

# A larger request or answer is not worth the work; both are far beyond what people write.
REQUEST_BYTES_MAX = 4 * 1024 * 1024
ANSWER_BYTES_MAX = 4 * 1024 * 1024
CHEAPER = "cheaper"


class Posed(msgspec.Struct, frozen=True, kw_only=True):
    """A request as its door read it, with all that decides what an answer to it is.

    door: what else makes two requests differ: the query, headers of version, the server that is meant.
    cache_control: the header by which a caller asks for a fresh answer, or for one that is not kept.
    """

    call: Call
    request: Request
    surface: Surface
    door: tuple[str, ...] = ()
    cache_control: str = ""
    provider_hint: str | None = None
    terms: Terms = NO_TERMS


class Served(msgspec.Struct, frozen=True, kw_only=True):
    """An answer from the cache, booked.

    grant: leave for the call as if it had been made, with nothing held for it.
    """

    grant: Grant
    kept: Kept
    booked: Booked


class Recall:
    """One call between the rules and the money: an answer that is kept for it, or one to be kept.

    state: what the caller is told: off, off with the reason, miss or hit.
    """

    def __init__(self, cache: ResponseCache, governor: Governor, posed: Posed, caching: Caching) -> None:
        self._cache = cache
        self._governor = governor
        self._posed = posed
        self._caching = caching
        self._canonical: dict[tuple[int | None, str], bytes] = {}
        reason = why_not(posed, caching)
        self.state = "off" if reason is None else f"off; {reason}"
        self._allowed = reason is None

    # ── find ────────────────────────────────────────────────────────────────────────────────────

    def find(self) -> Served | None:
        """Serve an answer that is kept; None where there is none, or the call may not have it."""
        grants = self._grants()
        found = self._cache.ask(lambda answers: self._find(answers, grants)) if grants else None
        if found is None:
            return None
        try:
            return self._served(*found, self._governor.committer.submit(self._record(*found)))
        except LedgerUnavailable:
            return None

    async def find_async(self) -> Served | None:
        """Do as find does, without blocking the event loop."""
        grants = self._grants()
        found = await self._cache.ask_async(lambda answers: self._find(answers, grants)) if grants else None
        if found is None:
            return None
        try:
            return self._served(*found, await self._governor.committer.submit_async(self._record(*found)))
        except LedgerUnavailable:
            return None

    def _grants(self) -> Sequence[Grant]:
        """What an answer may have come from: the targets for what was asked, not those of a limit."""
        if not self._allowed:
            return ()
        self.state = "miss"
        posed, governor = self._posed, self._governor
        if "no-cache" in posed.cache_control:
            return ()
        proposal = proposal_for(
            posed.call, governor.policy, governor.prices, posed.terms.steering, posed.provider_hint
        )
        if isinstance(proposal, Refusal):
            return ()  # whoever asks for the money is told why
        quotes = quotes_of(posed.call, proposal, governor.policy, governor.prices)
        if isinstance(quotes, Refusal):
            return ()
        asked = [quote for quote in quotes if quote.candidate.reason != CHEAPER]
        return [
            Grant(
                call=posed.call,
                environment=proposal.environment,
                quote=quote,
                output_cap=quote.output_cap,
                ceiling_nanodollars=0,
                balances=(),
                terms=posed.terms,
            )
            for quote in asked
        ]

    def _find(self, answers: Answers, grants: Sequence[Grant]) -> tuple[Grant, Kept] | None:
        """Look an answer up; in the cache's own thread, where long requests may take their time."""
        call = self._posed.call
        try:
            keys = [self._key(grant) for grant in grants]
        except NoCanonicalForm:
            self._allowed = False
            self.state = "off; ambiguous JSON"
            return None
        since_us = call.at_us - self._caching.ttl_seconds * MICROSECONDS
        found = answers.find(call.identity.environment, keys, since_us=since_us)
        if found is None:
            return None
        place, kept = found
        self._cache.soon(lambda answers: answers.use(call.identity.environment, keys[place]))
        return grants[place], kept

    def _record(self, grant: Grant, kept: Kept) -> Record:
        call, policy = self._posed.call, self._governor.policy
        offer = offer_of(call, grant.quote, grant.environment, policy, self._posed.terms.payers)
        return Record(
            call_id=call.call_id,
            at_us=call.at_us,
            facts=entry_facts(call, policy),
            outcome=Outcome.CACHED,
            reason=offer.reason,
            rules=(*offer.rules, f"cache: the answer to {kept.call_id}"),
            status=200,
            offer=_free(offer),
            avoided_nanodollars=kept.cost_nanodollars,
            latency_ms=(self._governor.clock() - call.at_us) // 1_000,
        )

    def _served(self, grant: Grant, kept: Kept, answer: Answer) -> Served | None:
        if not isinstance(answer, Booked):
            return None  # a stop or a rate limit is in the way; the hold that follows says which
        self.state = "hit"
        return Served(grant=grant, kept=kept, booked=answer)

    # ── keep ────────────────────────────────────────────────────────────────────────────────────

    def recording(self, grant: Grant) -> "Recording | None":
        """What collects the answer to a call that was granted; None where it is not to be kept."""
        if not self._allowed or grant.clamped:
            return None
        return Recording(self, grant)

    def keep(self, grant: Grant, kept: Kept) -> None:
        """Keep an answer, soon."""
        caching, environment = self._caching, grant.call.identity.environment
        room = Room(
            entries_max=caching.entries_max,
            bytes_max=caching.bytes_max,
            kept_us=caching.ttl_seconds * MICROSECONDS,
        )

        def work(answers: Answers) -> None:
            try:
                key = self._key(grant)
            except NoCanonicalForm:
                return
            answers.keep(environment, key, kept, room)

        self._cache.soon(work)

    def now_us(self) -> int:
        """The moment at which an answer is stored."""
        return self._governor.clock()

    def _key(self, grant: Grant) -> bytes:
        """Name everything that decides what the answer is, as it is sent to one target."""
        posed, target, model = self._posed, grant.target, grant.model
        sent = (grant.output_cap, target.cap_field)
        if sent not in self._canonical:
            body = posed.request.render(model="", output_cap=grant.output_cap, cap_field=target.cap_field)
            self._canonical[sent] = canonical(body)
        return digest_of(
            (
                posed.call.identity.environment,
                posed.call.identity.group,
                posed.surface.dialect.name,
                posed.surface.upstream_path_for(model),
                target.billed_as,
                model,
                *posed.door,
                self._canonical[sent],
            )
        )


class Recording:
    """An answer on its way to its caller, collected to be kept if it ends well."""

    def __init__(self, recall: Recall, grant: Grant) -> None:
        self._recall = recall
        self._grant = grant
        self._chunks: list[bytes] = []
        self._bytes = 0

    def add(self, passed: bytes) -> None:
        """Take bytes that went to the caller."""
        self._bytes += len(passed)
        if self._bytes > ANSWER_BYTES_MAX:
            self._chunks.clear()
        elif passed:
            self._chunks.append(passed)

    def keep(self, *, content_type: str, booked: Booked) -> None:
        """Keep the answer: it was whole, and is settled at what was reported."""
        if self._bytes > ANSWER_BYTES_MAX:
            return
        kept = Kept(
            call_id=self._grant.call.call_id,
            content_type=content_type,
            body=b"".join(self._chunks),
            stored_at_us=self._recall.now_us(),
            cost_nanodollars=booked.cost_nanodollars,
        )
        self._recall.keep(self._grant, kept)


def caching_for(call: Call, policy: Policy) -> Caching | None:
    """How answers to a call are kept; None where its environment keeps none."""
    environment = policy.environments.get(call.identity.environment)
    return None if environment is None else environment.caching


def door_facts(query: str, headers: Iterable[tuple[str, str]], *, server: str = "") -> tuple[str, ...]:
    """What makes two requests differ besides their path and body: query, versions asked for, server.

    headers: with names in lower case. Other headers trace calls or name programs, and decide nothing.
    """
    versions = sorted(
        f"{name}:{value}"
        for name, value in headers
        if name.startswith(("anthropic-", "openai-")) or name.endswith("-beta")
    )
    return (server, query, *versions)


def why_not(posed: Posed, caching: Caching) -> str | None:
    """Why a request is neither answered from the cache nor its answer kept; None where it may be."""
    facts, request = posed.call.facts, posed.request
    if "no-store" in posed.cache_control:
        return "no-store"
    if facts.free:
        return "free"
    if facts.tools and not caching.tools:
        return "tools"
    if facts.unbounded:  # what it refers to may be another thing the next time
        return facts.unbounded[0]
    if request.is_stored:
        return "store"
    if facts.generates:
        asked = request.temperature
        # What is not said is 1 at every provider (their API references, 2026).
        if (1 if asked is None else asked) > caching.temperature_max:
            return "temperature"
    if facts.input_bytes > REQUEST_BYTES_MAX:
        return "size"
    return None


def _free(offer: Offer) -> Offer:
    """What of an offer an answer from the cache uses up: a request of each rate limit, and nothing else."""
    replace = msgspec.structs.replace
    rates = tuple(claim for claim in offer.claims if claim.unit is Unit.REQUESTS)
    paying = tuple(claim.budget for claim in offer.claims if claim.unit is Unit.NANODOLLARS)
    return replace(
        offer, needs={}, claims=rates, output_full=0, output_floor=0, unpaid=(*offer.unpaid, *paying)
    )
