"""Who asks a route of the governance API, as the door in front of it found out, and who may."""

from typing import Annotated, Any

import msgspec
from fastapi import Depends, FastAPI, HTTPException, Request
from fastapi.routing import APIRoute

from farthing.domain.call import Identity
from farthing.domain.role import Role

Json = dict[str, Any]

# Where the description of the API tells whom a route lets pass.
ROLES = "x-farthing-roles"


class Asker(msgspec.Struct, frozen=True, kw_only=True):
    """Who asks: the holder of a token, or a developer with a call key."""

    name: str
    role: Role
    identity: Identity | None = None

    @property
    def sees_all(self) -> bool:
        """Whether it may look at the calls and the spend of everybody."""
        return self.role is not Role.DEVELOPER

    @property
    def environment(self) -> str | None:
        """The environment of the key; None for a token."""
        return self.identity.environment if self.identity else None

    @property
    def key(self) -> str | None:
        """The label of the key; None for a token."""
        return self.identity.key if self.identity else None


def asker(request: Request) -> Asker:
    """Read what the door in front of this application found out."""
    found = request.scope["farthing.asker"]
    assert isinstance(found, Asker), found
    return found


Who = Annotated[Asker, Depends(asker)]


class Allowed:
    """Lets some roles pass, and tells the others which ones may."""

    def __init__(self, *roles: Role) -> None:
        self.roles = roles

    def __call__(self, who: Who) -> None:
        """Refuse who may not."""
        if who.role not in self.roles:
            needed = " or ".join(role.value for role in self.roles)
            raise HTTPException(403, f"this is for the role {needed}; {who.name} has the role {who.role}")


Admin = Depends(Allowed(Role.ADMIN))
Decider = Depends(Allowed(Role.ADMIN, Role.APPROVER))
Viewer = Depends(Allowed(Role.ADMIN, Role.APPROVER, Role.VIEWER))
Teller = Depends(Allowed(Role.ADMIN, Role.DEVELOPER))
Requester = Depends(Allowed(Role.ADMIN, Role.APPROVER, Role.DEVELOPER))
Developer = Depends(Allowed(Role.DEVELOPER))
Anyone = Depends(Allowed(*Role))


def tell_roles(app: FastAPI) -> None:
    """Tell in the description of every route who may; a route that lets nobody in by name is an error."""
    for route in app.routes:
        if not isinstance(route, APIRoute) or not route.include_in_schema:
            continue
        roles = [
            [role.value for role in given.dependency.roles]
            for given in route.dependencies
            if isinstance(given.dependency, Allowed)
        ]
        if len(roles) != 1:
            raise TypeError(f"{route.methods} {route.path} must say, once, which roles may")
        route.openapi_extra = {**(route.openapi_extra or {}), ROLES: roles[0]}
