"""Mint the ids of calls: ours, one for each attempt, in order of time."""

import os
import random

# Not a secret, only never the same twice. The system's own randomness would cost a call to the kernel,
# and the interpreter lock with it, for every call.
_random = random.Random(os.urandom(32))  # noqa: S311 - see above
os.register_at_fork(after_in_child=lambda: _random.seed(os.urandom(32)))


def new_call_id(at_us: int) -> str:
    """Mint an id that sorts by time: call_<microseconds><random>, in hexadecimal."""
    return f"call_{at_us:014x}{_random.getrandbits(48):012x}"
