"""Serve one call: authenticate, read, authorize, forward, meter, settle. The hot path."""

import asyncio
import hashlib
from collections.abc import Callable
from typing import NamedTuple

import msgspec

from farthing.cache.response_cache import ResponseCache
from farthing.domain.call import Call, Identity
from farthing.domain.errors import BadRequest, LedgerUnavailable, Reason, Refusal, Refused
from farthing.engine.call_ids import new_call_id
from farthing.engine.governor import Governor, Grant
from farthing.engine.hops import next_attempt
from farthing.engine.outcomes import Ending
from farthing.engine.recall import Recall
from farthing.engine.refusals import ledger_unavailable
from farthing.gateway.answers import cost_headers, grant_headers, remaining_headers
from farthing.gateway.asgi import Receive, Scope, Send, send_whole
from farthing.gateway.bodies import BODY_BYTES_MAX, CallerLeft, has_left, read_body
from farthing.gateway.exchange import Exchange, Telling
from farthing.gateway.headers import Incoming, TwoCredentials, headers_back, query_upstream, read_headers
from farthing.gateway.identities import Identities
from farthing.gateway.kept_answers import recall_of, send_kept
from farthing.gateway.keys import unknown_key
from farthing.gateway.metrics import Counters
from farthing.gateway.refusals import Rejection, reject, reject_refusal
from farthing.gateway.targets import Targets
from farthing.gateway.upstream import Answer, Lost, NeverConnected, TimedOut, Upstream
from farthing.policy.rules import OnDisconnect
from farthing.wire.dialect import Request
from farthing.wire.surfaces import Surface

DRAIN_SECONDS = 60.0
# An answer that does not stream is kept until it is settled; the largest are pictures and embeddings.
ANSWER_BYTES_MAX = 256 * 1024 * 1024


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """Bounds of the data path that an operator may set."""

    body_bytes: int = BODY_BYTES_MAX
    answer_bytes: int = ANSWER_BYTES_MAX
    drain_seconds: float = DRAIN_SECONDS


class Calls:
    """Serves calls of one worker process."""

    def __init__(
        self,
        *,
        governor: Governor,
        identities: Identities,
        upstream: Upstream,
        targets: Targets,
        counters: Counters,
        cache: ResponseCache,
        clock: Callable[[], int],
        prompt_salt: bytes,
        limits: Limits,
    ) -> None:
        self._governor = governor
        self._identities = identities
        self._upstream = upstream
        self._targets = targets
        self._counters = counters
        self._cache = cache
        self._clock = clock
        self._salt = prompt_salt[:64]
        self._limits = limits

    async def serve(self, scope: Scope, receive: Receive, send: Send, surface: Surface) -> None:
        """Answer one request on a metered path, whatever becomes of it."""
        self._counters.open_calls += 1
        try:
            await self._serve(scope, receive, send, surface)
        except Refused as refused:
            self._counters.refused[refused.refusal.reason] += 1
            rejection = reject_refusal(
                surface.family, surface.dialect.name, refused.refusal, call_id=refused.call_id
            )
            await _send_rejection(send, rejection)
        except BadRequest as error:
            self._counters.bad_requests += 1
            rejection = reject(
                surface.family, error.status, str(error), code="bad_request", param=error.param
            )
            await _send_rejection(send, rejection)
        except CallerLeft:
            return
        finally:
            self._counters.open_calls -= 1

    async def _serve(self, scope: Scope, receive: Receive, send: Send, surface: Surface) -> None:
        incoming, identity = await self.authenticate(scope)
        body = await read_body(
            receive,
            encoding=incoming.content_encoding,
            length=incoming.content_length,
            limit=self._limits.body_bytes,
        )
        request = surface.dialect.read(body, model=surface.model, stream=surface.stream)
        call = self._call(identity, incoming, request, surface)
        recall = recall_of(
            self._cache, self._governor, call,
            scope=scope, surface=surface, incoming=incoming, request=request,
        )  # fmt: skip
        if recall is not None and (served := await recall.find_async()) is not None:
            self._counters.cached += 1
            await send_kept(send, served, tracked=self._governor.policy.cost_tracked)
            return
        grant = await self._governor.authorize_async(
            call, prompt=request.prompt, provider_hint=surface.provider
        )
        asked = _Asked(scope, receive, send, surface, incoming, request, call, recall)
        await self._forward(asked, grant)

    async def authenticate(self, scope: Scope) -> tuple[Incoming, Identity]:
        """Say who is asking. Raises Refused (invalid_key, ledger_unavailable)."""
        try:
            incoming = read_headers(scope["headers"], scope["query_string"])
        except TwoCredentials as error:
            raise _invalid_key(str(error)) from error
        if incoming.credential is None:
            raise _invalid_key("no key was sent")
        try:
            identity = await self._identities.find(incoming.credential)
        except LedgerUnavailable as error:
            raise Refused(ledger_unavailable(error)) from error
        if identity is None:
            raise _invalid_key(unknown_key(incoming.credential))
        return incoming, identity

    def _call(self, identity: Identity, incoming: Incoming, request: Request, surface: Surface) -> Call:
        now, tags = self._clock(), incoming.tags
        call_id = new_call_id(now)
        return Call(
            call_id=call_id,
            request_id=call_id,
            at_us=now,
            identity=identity,
            facts=request.facts.by_path(surface.provider),
            labels=tags.labels,
            run=tags.run,
            claimed_environment=tags.claimed_environment,
            tags_invalid=tags.invalid,
            prompt_hash=hashlib.blake2b(request.prompt, key=self._salt, digest_size=16).hexdigest(),
        )

    # ── forward ─────────────────────────────────────────────────────────────────────────────────

    async def _forward(self, asked: "_Asked", grant: Grant) -> None:
        """Send the call to its target, and to further ones as long as they fail before the first byte."""
        while (told := await self._attempt(asked, grant)) is not None:
            following = (
                None if told.why_failed is None else await self._following(asked, grant, told.why_failed)
            )
            if following is None:
                await send_whole(asked.send, told.status, told.headers, told.body)
                return
            grant = following

    async def _following(self, asked: "_Asked", grant: Grant, why: str) -> Grant | None:
        """Decide anew, by every rule, about a call that its target failed; None where nothing is left."""
        attempt = next_attempt(asked.call, grant, why, now_us=self._clock())
        if attempt is None or await has_left(asked.receive):
            return None
        try:
            return await self._governor.authorize_async(
                attempt.call,
                prompt=asked.request.prompt,
                provider_hint=asked.surface.provider,
                terms=attempt.terms,
            )
        except Refused as refused:
            self._counters.refused[refused.refusal.reason] += 1
            return None

    async def _attempt(self, asked: "_Asked", grant: Grant) -> Telling | None:
        """Make one exchange and book it; answers what is to be told, or None where the caller has it."""
        facts, target, surface = grant.call.facts, grant.target, asked.surface
        asks = facts.stream and target.asks_usage and not facts.wants_usage
        exchange = Exchange(self._governor, grant, surface, asked.recall, hide_usage=asks)
        try:
            body = asked.request.render(
                model=grant.model, output_cap=grant.output_cap, ask_usage=asks, cap_field=target.cap_field
            )
            path = surface.upstream_path_for(grant.model)
            query = query_upstream(asked.scope["query_string"])
            url = self._targets.url(target, surface.family, path, query)
            headers = self._upstream_headers(asked.incoming, grant, surface.family)
            exchange.unsent = False
            answer = await self._upstream.send(
                "POST", url, headers, body, head_seconds=target.timeout_seconds
            )
            exchange.opened(answer, facts)
            return await (
                self._pass_stream(asked.receive, asked.send, exchange, answer)
                if exchange.streamed
                else self._whole(exchange, answer)
            )
        except NeverConnected as error:
            return await self._give_up(exchange, Ending.NEVER_CONNECTED, 502, error)
        except TimedOut as error:
            return await self._give_up(exchange, Ending.TIMED_OUT, 504, error)
        except Lost as error:
            return await self._give_up(exchange, Ending.BROKEN, 502, error)
        finally:
            # Cancelled by a stop that could not wait, or by an error of our own: book it all the same.
            exchange.relay.end(Ending.NEVER_CONNECTED if exchange.unsent else Ending.SHUTDOWN)
            exchange.let_go()
            self._counters.ended[exchange.ending] += 1

    def _upstream_headers(self, incoming: Incoming, grant: Grant, family: str) -> list[tuple[str, str]]:
        headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in incoming.upstream]
        # Identity is what the meter reads without work; what comes encoded all the same is decoded.
        headers.append(("accept-encoding", "identity"))
        secret = self._targets.secret_header(grant.target, family)
        if secret is not None:
            headers.append(secret)
        return headers

    async def _whole(self, exchange: Exchange, answer: Answer) -> Telling:
        """Read an answer that does not stream to its end, and book it."""
        relay, room = exchange.relay, self._limits.answer_bytes
        async for chunk in answer.chunks():
            room -= len(chunk)
            if room < 0:
                raise Lost(f"the answer is larger than {self._limits.answer_bytes:,} bytes, the limit here")
            relay.feed(chunk)
        booked = await relay.end_async(exchange.end(Ending.ANSWERED))
        grant = exchange.grant
        headers = headers_back(answer.headers)
        headers += grant_headers(grant, cache=exchange.cache)
        headers += cost_headers(booked, grant.balances, tracked=self._governor.policy.cost_tracked)
        return Telling(
            status=answer.status, headers=headers, body=relay.held_back, why_failed=exchange.why_failed
        )

    async def _pass_stream(self, receive: Receive, send: Send, exchange: Exchange, answer: Answer) -> None:
        relay, grant = exchange.relay, exchange.grant
        headers = headers_back(answer.headers)
        headers += grant_headers(grant, cache=exchange.cache)
        headers += remaining_headers(grant.balances)
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        exchange.head_sent = True
        leaving = asyncio.ensure_future(self._watch(receive, exchange, answer))
        try:
            async for chunk in answer.chunks():
                passed = relay.feed(chunk)
                if passed:
                    await send({"type": "http.response.body", "body": passed, "more_body": True})
            await relay.end_async(exchange.end(Ending.ANSWERED))
        except (Lost, TimedOut):
            if exchange.stopped is None:
                raise
            await relay.end_async(exchange.end(exchange.stopped))
            return
        finally:
            leaving.cancel()
        await send({"type": "http.response.body", "body": relay.held_back})

    async def _watch(self, receive: Receive, exchange: Exchange, answer: Answer) -> None:
        """Wait for the caller to leave; then let the answer run out for a while, or stop it."""
        while (await receive())["type"] != "http.disconnect":
            pass
        self._counters.callers_left += 1
        if exchange.grant.environment.on_disconnect is OnDisconnect.CANCEL:
            exchange.stopped = Ending.CANCELLED
        else:
            await asyncio.sleep(self._limits.drain_seconds)
            exchange.stopped = Ending.DRAIN_EXPIRED
        answer.close()

    async def _give_up(self, exchange: Exchange, ending: Ending, status: int, error: Exception) -> Telling:
        """Book a call whose exchange failed; answers what is known of it."""
        booked = await exchange.relay.end_async(exchange.end(ending), error=str(error))
        if exchange.head_sent:
            raise StreamBroken(str(error)) from error
        rejection = reject(
            exchange.surface.family,
            status,
            f"{error} (call {exchange.grant.call.call_id})",
            code=f"upstream_{ending.value}",
        )
        granted = grant_headers(exchange.grant, cache=exchange.cache)
        headers = [*rejection.headers, *granted, *cost_headers(booked, ())]
        return Telling(
            status=rejection.status, headers=headers, body=rejection.body, why_failed=exchange.why_failed
        )


class _Asked(NamedTuple):
    """One request with the ways to and from its caller."""

    scope: Scope
    receive: Receive
    send: Send
    surface: Surface
    incoming: Incoming
    request: Request
    call: Call
    recall: Recall | None


class StreamBroken(Exception):
    """An answer broke after its head was sent on, here or at the provider: the caller must see that too."""


def _invalid_key(message: str) -> Refused:
    return Refused(
        Refusal(
            reason=Reason.INVALID_KEY,
            message=message,
            fix="create one with  farthing key create --environment NAME --label NAME  and send it as "
            "Authorization: Bearer",
        )
    )


async def _send_rejection(send: Send, rejection: Rejection) -> None:
    await send_whole(send, rejection.status, rejection.headers, rejection.body)
