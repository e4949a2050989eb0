"""Who asks a route of the governance API, as the door in front of it found out."""

from typing import Annotated, Any

import msgspec
from fastapi import Depends, HTTPException, Request

from farthing.domain.call import Identity

Json = dict[str, Any]


class Asker(msgspec.Struct, frozen=True, kw_only=True):
    """Who asks: the admin, or the owner of a call key."""

    admin: bool
    identity: Identity | None = None

    @property
    def environment(self) -> str | None:
        """The environment of the key; None for the admin."""
        return self.identity.environment if self.identity else None

    @property
    def key(self) -> str | None:
        """The label of the key; None for the admin."""
        return self.identity.key if self.identity else None


def asker(request: Request) -> Asker:
    """Read what the door in front of this application found out."""
    return Asker(
        admin=bool(request.scope.get("farthing.admin")), identity=request.scope.get("farthing.identity")
    )


def admin_only(who: Annotated[Asker, Depends(asker)]) -> None:
    """Let only the admin pass."""
    if not who.admin:
        raise HTTPException(403, "this needs the admin token")


Who = Annotated[Asker, Depends(asker)]
Admin = Depends(admin_only)
