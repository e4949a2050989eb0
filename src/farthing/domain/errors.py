"""The error tree: each says what happened, why, and how to go on.

FarthingError
├── PolicyError       the policy file is wrong: file, line, key, fix
├── BadRequest        the caller's request cannot be read
├── Refused           the call was not made; nothing was spent
└── LedgerUnavailable the ledger cannot answer
"""

import enum

import msgspec


class FarthingError(Exception):
    """The base of everything farthing raises on purpose."""


class BadRequest(FarthingError):
    """The caller's request cannot be read; ``param`` names the member at fault where one is."""

    def __init__(self, message: str, *, param: str | None = None, status: int = 400) -> None:
        super().__init__(message)
        self.param = param
        self.status = status


class LedgerUnavailable(FarthingError):
    """The ledger cannot answer: full disk, lost connection, a newer schema.

    fix: how to go on, where that is known.
    """

    def __init__(self, message: str, *, fix: str = "") -> None:
        super().__init__(message)
        self.fix = fix


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """One thing wrong in a policy file, with where and what to do."""

    file: str
    line: int | None
    key: str
    message: str
    fix: str

    def __str__(self) -> str:
        """Show as one line an editor can jump to."""
        where = f"{self.file}:{self.line}" if self.line else self.file
        return f"{where}: {self.key}: {self.message}; {self.fix}"


class PolicyError(FarthingError):
    """The policy file is wrong; every problem found is listed, not just the first."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = problems


class Reason(enum.StrEnum):
    """Why a call was refused. The names are part of the contract with callers."""

    INVALID_KEY = "invalid_key"
    BUDGET_EXCEEDED = "budget_exceeded"
    WALLET_EMPTY = "wallet_empty"
    BUDGET_HELD = "budget_held"
    RATE_LIMITED = "rate_limited"
    MODEL_NOT_ALLOWED = "model_not_allowed"
    UNPRICED_MODEL = "unpriced_model"
    UNBOUNDED_INPUT = "unbounded_input"
    STOPPED = "stopped"
    UNMETERED_PATH = "unmetered_path"
    LEDGER_UNAVAILABLE = "ledger_unavailable"


class Refusal(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Why a call was not made, with the numbers behind it and how to go on."""

    reason: Reason
    message: str
    fix: str
    budget: str | None = None
    window: str | None = None
    unit: str | None = None
    limit: int | None = None
    spent: int | None = None
    held: int | None = None
    needed: int | None = None
    resets_at: str | None = None
    retry_after_s: int | None = None  # set when waiting helps; absent means final


_MONEY = {
    "limit": "limit_nanodollars",
    "spent": "spent_nanodollars",
    "held": "held_nanodollars",
    "needed": "needed_nanodollars",
}


def explain(refusal: Refusal) -> dict[str, object]:
    """The machine-readable member of a refusal; amounts carry their unit in their name."""
    told: dict[str, object] = {"reason": refusal.reason.value, "fix": refusal.fix}
    for name in ("budget", "window", "resets_at"):
        value = getattr(refusal, name)
        if value is not None:
            told[name] = value
    if refusal.unit is not None:
        for name, in_money in _MONEY.items():
            value = getattr(refusal, name)
            if value is not None:
                told[in_money if refusal.unit == "nanodollars" else f"{name}_{refusal.unit}"] = value
    return told


class Refused(FarthingError):
    """The call was not made. No hold is left behind and nothing was spent.

    call_id: the call whose entry tells of it; None where no entry was written.
    """

    def __init__(self, refusal: Refusal, call_id: str | None = None) -> None:
        super().__init__(f"{refusal.message}. {refusal.fix}")
        self.refusal = refusal
        self.call_id = call_id

    def __reduce__(self) -> tuple[type["Refused"], tuple[Refusal, str | None]]:
        """Cross process borders whole."""
        return (type(self), (self.refusal, self.call_id))
