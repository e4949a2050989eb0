"""API keys: make one, tell its environment, check its form; only the hash is ever stored."""

import hashlib
import secrets
import zlib

PREFIX = "fk"
ADMIN_PREFIX = "fa"
_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZabcdefghjkmnpqrstvwxyz"
_SECRET_LENGTH = 44  # 44 characters out of 53 are more than 250 bits
_CHECK_LENGTH = 5


def make_key(environment: str) -> str:
    """Make a key for an environment: fk-development-<secret><checksum>. Shown once, never stored."""
    body = "".join(secrets.choice(_ALPHABET) for _ in range(_SECRET_LENGTH))
    unchecked = f"{PREFIX}-{environment}-{body}"
    return unchecked + _checksum(unchecked)


def is_well_formed(key: str) -> bool:
    """Tell a mistyped or cut-off key from one that may exist, without asking the ledger."""
    unchecked, check = key[:-_CHECK_LENGTH], key[-_CHECK_LENGTH:]
    return key.startswith(f"{PREFIX}-") and _checksum(unchecked) == check


def unknown_key(credential: str) -> str:
    """Say of a credential that opens nothing what it looks like, without showing it."""
    if credential.startswith(f"{ADMIN_PREFIX}-"):
        return "this looks like a token of /api, which calls no model"
    if not credential.startswith(f"{PREFIX}-"):
        return f"this is no key of farthing's, which begin with {PREFIX}-, and no group of the policy has it"
    if not is_well_formed(credential):
        return "this key is mistyped or cut off"
    return "this key is not known here, or it was revoked, rotated or expired"


def sha256_of(key: str) -> bytes:
    """The hash that is stored: plain SHA-256, since a key of 250 random bits cannot be guessed."""
    return hashlib.sha256(key.encode()).digest()


def _checksum(text: str) -> str:
    number = zlib.crc32(text.encode())
    digits = []
    for _ in range(_CHECK_LENGTH):
        number, digit = divmod(number, len(_ALPHABET))
        digits.append(_ALPHABET[digit])
    return "".join(digits)
