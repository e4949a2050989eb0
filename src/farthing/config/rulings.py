"""Keep on the ledger which files said which rules, so that an entry's digest leads back to them."""

import msgspec

from farthing.config.load import Loaded, RulingFile
from farthing.ledger.store import Store


class Ruling(msgspec.Struct, frozen=True, kw_only=True):
    """The files that said the rules of one digest, when they first came in force."""

    at_us: int
    files: tuple[RulingFile, ...]

    def files_for(self, environment: str) -> tuple[RulingFile, ...]:
        """Those that speak for an environment: for it alone, or for all that they name."""
        return tuple(file for file in self.files if file.environment in (None, environment))


_decode = msgspec.json.Decoder(Ruling).decode


def keep_ruling(loaded: Loaded, store: Store, at_us: int) -> None:
    """Remember which files say these rules."""
    ruling = Ruling(at_us=at_us, files=loaded.files)
    store.remember(_name(loaded.policy.digest), msgspec.json.encode(ruling).decode())


def ruling_of(digest: str, store: Store) -> Ruling | None:
    """The files behind a digest, where a gateway or guard with this ledger has had them in force."""
    kept = store.recall(_name(digest))
    return None if kept is None else _decode(kept)


def _name(digest: str) -> str:
    return f"policy:{digest}"
