"""Where calls of one guarded client are authorized: its budget, its models, its manners at the limit."""

import asyncio
import hashlib
import logging
import math
import os
import threading
import weakref
from collections import OrderedDict
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from farthing.domain.call import Call, Identity
from farthing.domain.errors import Reason, Refusal, Refused
from farthing.domain.labels import told_by
from farthing.domain.period import Period, window_of
from farthing.engine.call_ids import new_call_id
from farthing.engine.terms import Terms
from farthing.ledger.entries import account_name
from farthing.policy.rules import AtLimit, Budget, Payer
from farthing.policy.steering import Steering
from farthing.sdk import ci
from farthing.sdk.abandoned import our_own_work
from farthing.sdk.alerts import Alarm
from farthing.sdk.branch import branch_or_none
from farthing.sdk.context import active_scopes
from farthing.sdk.errors import with_way_on
from farthing.sdk.reading import Reader, held_by, this_task, this_thread
from farthing.sdk.report import Report

if TYPE_CHECKING:
    import httpx2

    from farthing.domain.usage import Usage
    from farthing.engine.governor import Grant
    from farthing.engine.recall import Recall
    from farthing.ledger.entries import Balance, Booked
    from farthing.sdk.context import Scope
    from farthing.sdk.runtime import Runtime
    from farthing.wire.dialect import Request
    from farthing.wire.surfaces import Surface

PATIENCE_S = 30.0
_ATTEMPTS_MAX = 1_024
_log = logging.getLogger("farthing")


class Wishes(msgspec.Struct, frozen=True, kw_only=True):
    """What guard() was told, read and checked.

    name: of the budget; limit_nanodollars: None where only the policy's budgets count.
    shared: the budget belongs to a workflow or a period and outlives this process.
    """

    family: str
    name: str
    limit_nanodollars: int | None
    period: Period
    shared: bool
    downgrade_model: str | None = None
    fallback: str | None = None
    threshold: Decimal = Decimal("0.8")
    environment: str | None = None
    labels: Mapping[str, str] = {}
    run: str | None = None
    on_limit: str = "raise"
    at_limit: str = "clamp"
    alarm: Alarm | None = None
    policy: tuple[Path, ...] = ()
    ledger: str | None = None

    @property
    def fallback_from(self) -> int | None:
        """Nanodollars of the budget from which the fallback takes the place of every dearer model."""
        if self.fallback is None or self.limit_nanodollars is None:
            return None
        return math.ceil(self.limit_nanodollars * self.threshold)


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """A request that was read and may be authorized."""

    call: "Call"
    request: "Request"
    surface: "Surface"
    provider: str
    host: str
    scopes: tuple["Scope", ...] = ()


class Desk:
    """Authorizes the calls of one guard. Opens nothing before the first of them."""

    def __init__(self, wishes: Wishes) -> None:
        self.wishes = wishes
        self.gateways: set[str] = set()
        self.report = Report(wishes.name, wishes.limit_nanodollars, self._balance)
        self._runtime: Runtime | None = None
        self._budget: Budget | None = None
        self._run_cap: Budget | None = None
        self._run = wishes.run
        self._developer: str | None = None
        self._branch: str | None = None
        self._alarm = wishes.alarm
        self._attempts: OrderedDict[tuple[int, str], tuple[str, int]] = OrderedDict()
        self._lock = threading.Lock()

    # ── what it stands on ───────────────────────────────────────────────────────────────────────

    @property
    def runtime(self) -> "Runtime":
        """The ledger, the prices and the policy; opened at the first question."""
        return self._runtime or self._open()

    def _open(self) -> "Runtime":
        # They load prices and policies: at the first call.
        from farthing.config.surroundings import developer_of_process
        from farthing.sdk.runtime import runtime_for

        wishes = self.wishes
        runtime = runtime_for(
            environment=wishes.environment, ledger=wishes.ledger, policy=wishes.policy, shared=wishes.shared
        )
        at_limit = AtLimit.OVERRUN if wishes.on_limit == "warn" else AtLimit(wishes.at_limit)
        zone = runtime.governor.policy.zone
        if wishes.limit_nanodollars is not None:
            self._budget = Budget(
                name=wishes.name,
                limit_nanodollars=wishes.limit_nanodollars,
                period=wishes.period,
                zone=zone,
                at_limit=at_limit,
            )
        if ci.is_joined(runtime.environment):
            run, limit = ci.run_cap()
            self._run = self._run or run
            self._branch = branch_or_none()
            self._run_cap = Budget(
                name=ci.CAP_NAME,
                limit_nanodollars=limit,
                period=Period.RUN,
                zone=zone,
                at_limit=AtLimit.CLAMP,
            )
            ci.ledgers.add(runtime.url)
        self._developer = developer_of_process(os.environ)
        if not wishes.shared and wishes.limit_nanodollars is not None:
            gone = weakref.finalize(self, runtime.store.retire, account_name(wishes.name, None, "total"))
            gone.atexit = False
        self._runtime = runtime
        return runtime

    def _balance(self) -> "Balance | None":
        if self.wishes.limit_nanodollars is None:
            return None
        runtime = self.runtime
        assert self._budget is not None
        now_us = runtime.governor.clock()
        window = window_of(self._budget.period, now_us, self._budget.zone, run=self._run)
        return runtime.store.balance(account_name(self._budget.name, None, window.key), at_us=now_us)

    # ── one call ────────────────────────────────────────────────────────────────────────────────

    def read(self, surface: "Surface", provider: str, body: bytes, *, host: str, retry: int) -> Asked:
        """Read a request. Raises BadRequest.

        host: where the client sends it.
        retry: how often the SDK has asked for the same before, as far as it says.
        """
        runtime, scopes = self.runtime, active_scopes()
        labels = self.wishes.labels
        for scope in scopes:
            scope.open(runtime.store)
            scope.check()
            self._same_books(scope)
        if scopes:
            labels = {**labels, **scopes[-1].labels}
        if self._run_cap is not None:
            labels = {**ci.run_labels(self._branch), **labels}
        request = surface.dialect.read(body, model=surface.model, stream=surface.stream)
        now = runtime.governor.clock()
        call_id = new_call_id(now)
        digest = hashlib.blake2b(request.prompt, key=runtime.prompt_salt, digest_size=16).hexdigest()
        request_id, attempt = self._attempt(call_id, digest, retry)
        told = told_by(labels)
        call = Call(
            call_id=call_id,
            request_id=request_id,
            attempt=attempt,
            at_us=now,
            identity=self._identity(runtime),
            facts=request.facts.by_path(provider),
            labels=told.labels,
            claimed_environment=told.claimed_environment,
            run=told.run or self._run or (scopes[0].budget.name if scopes and not scopes[0].shared else None),
            prompt_hash=digest,
        )
        return Asked(call=call, request=request, surface=surface, provider=provider, host=host, scopes=scopes)

    def _identity(self, runtime: "Runtime") -> Identity:
        identity = Identity(
            environment=runtime.environment,
            key=self.wishes.name,
            developer=self._developer,
            group=runtime.group.name if runtime.group else None,
            wallet=runtime.group.wallet if runtime.group else None,
        )
        passes = runtime.passes.of(identity)
        return msgspec.structs.replace(identity, passes=passes) if passes else identity

    def _same_books(self, scope: "Scope") -> None:
        """A call is held once, in one ledger: its guard and the fences around it must share theirs."""
        if scope.url not in (None, self.runtime.url):
            raise Refused(
                Refusal(
                    reason=Reason.LEDGER_UNAVAILABLE,
                    message="this guard and the fence around it keep their books in different ledgers",
                    fix="give both the same ledger=, or set FARTHING_LEDGER",
                )
            )

    def _attempt(self, call_id: str, digest: str, retry: int) -> tuple[str, int]:
        """Which request of the user this is, and the how manieth attempt: the SDK retries in one thread."""
        key = (threading.get_ident(), digest)
        with self._lock:
            first = self._attempts.get(key) if retry else None
            known = (first[0], first[1] + 1) if first is not None else (call_id, 1)
            self._attempts[key] = known
            self._attempts.move_to_end(key)
            if len(self._attempts) > _ATTEMPTS_MAX:
                self._attempts.popitem(last=False)
        return known

    def recall(self, asked: Asked, request: "httpx2.Request") -> "Recall | None":
        """What the response cache may know of a call; None where its environment keeps no answers."""
        runtime = self.runtime
        environment = runtime.governor.policy.environments.get(asked.call.identity.environment)
        if environment is None or environment.caching is None:
            return None
        from farthing.engine.recall import Posed, Recall, door_facts

        url, headers = request.url, request.headers
        posed = Posed(
            call=asked.call,
            request=asked.request,
            surface=asked.surface,
            # Which server is meant counts here: the client chose it, and not the policy.
            door=door_facts(url.query.decode("latin-1"), headers.items(), server=url.netloc.decode("ascii")),
            cache_control=headers.get("cache-control", "").lower(),
            provider_hint=asked.provider,
            terms=self._terms(asked, this_thread()),
        )
        return Recall(runtime.cache, runtime.governor, posed, environment.caching)

    def authorize(self, asked: Asked) -> "Grant":
        """Hold the ceiling of a call; waits for money that calls in flight hold. Raises Refused."""
        terms = self._terms(asked, this_thread())
        try:
            with our_own_work:
                grant = self.runtime.governor.authorize(
                    asked.call, prompt=asked.request.prompt, provider_hint=asked.provider, terms=terms
                )
        except Refused as refused:
            raise self._refused(asked, refused) from refused
        if self.runtime.governor.settlements_waiting:  # the ledger answers again
            self.runtime.governor.write_late()
        return self._noted(asked, grant)

    async def authorize_async(self, asked: Asked) -> "Grant":
        """Do as authorize does, without blocking the event loop."""
        terms = self._terms(asked, this_task())
        try:
            with our_own_work:
                grant = await self.runtime.governor.authorize_async(
                    asked.call, prompt=asked.request.prompt, provider_hint=asked.provider, terms=terms
                )
        except Refused as refused:
            raise self._refused(asked, refused) from refused
        if self.runtime.governor.settlements_waiting:
            await asyncio.to_thread(self.runtime.governor.write_late)
        return self._noted(asked, grant)

    def _refused(self, asked: Asked, refused: Refused) -> Refused:
        """Tell the fences of a refusal, and the user in whose hands its budget is."""
        refusal, at_us = refused.refusal, asked.call.at_us
        if refusal.budget == ci.CAP_NAME and refusal.reason is Reason.BUDGET_EXCEEDED:
            ci.refusals.append(refusal)
        for scope in asked.scopes:
            if refusal.budget == scope.budget.name:
                refusal = with_way_on(refusal, scope.way_on)
                scope.note_refusal(refusal, self.runtime.store, at_us)
        if refusal.budget == self.wishes.name:
            refusal = with_way_on(refusal, "give guard() a larger budget=")
            if self._alarm is not None and self._budget is not None:
                window = window_of(self._budget.period, at_us, self._budget.zone, run=self._run)
                self._alarm.look_at_refusal(refusal, window, self.runtime.store, at_us)
        elif self._run_cap is not None and refusal.budget == self._run_cap.name:
            refusal = with_way_on(refusal, "set CI_AI_BUDGET to more")
        return Refused(refusal, refused.call_id)

    def _noted(self, asked: Asked, grant: "Grant") -> "Grant":
        self.count(asked, 1)
        if grant.would_refuse:
            _log.warning("farthing: a call passes beyond the limit of %s", ", ".join(grant.would_refuse))
        elif grant.clamped:
            _log.info("farthing: the output cap was lowered to %s tokens to fit the budget", grant.output_cap)
        return grant

    def count(self, asked: Asked, calls: int) -> None:
        """Count calls that were sent, here and in every fence around."""
        for report in (self.report, *asked.scopes):
            report.count(calls)

    def note_end(self, asked: Asked, booked: "Booked", usage: "Usage | None") -> None:
        """Look at what is spent, and at what a run sends, after a call."""
        store, now_us = self.runtime.store, asked.call.at_us
        if self._alarm is not None:
            self._alarm.look(booked.balances, store, now_us)
        for scope in asked.scopes:
            scope.note_end(booked.balances, usage, store, now_us)

    def _terms(self, asked: Asked, asker: Reader) -> Terms:
        wishes, call = self.wishes, asked.call
        payers: list[Payer] = [scope.payer(call.at_us) for scope in asked.scopes]
        paid = {payer.budget.name for payer in payers}
        for budget in (self._budget, self._run_cap):
            if budget is not None and budget.name not in paid:  # around a test stands the cap of its run
                window = window_of(budget.period, call.at_us, budget.zone, run=self._run)
                payers.append(
                    Payer(
                        budget=budget,
                        value=None,
                        window=window,
                        at_limit=budget.at_limit or AtLimit.CLAMP,
                        fallback_from=wishes.fallback_from if budget is self._budget else None,
                    )
                )
        steering = None
        inner = asked.scopes[-1].model_fallback if asked.scopes else None
        if inner is not None:
            steering = Steering(always=inner)
        elif wishes.downgrade_model is not None:
            steering = Steering(always=wishes.downgrade_model)
        elif wishes.fallback is not None:
            steering = Steering(at_limit=wishes.fallback)
        keeps = held_by(asker, self.runtime.url)
        return Terms(
            payers=tuple(payers), steering=steering, patience_s=PATIENCE_S, keeps=keeps, host=asked.host
        )
