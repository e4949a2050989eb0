"""Answer a guarded call from the response cache, where the environment of its policy keeps answers."""

from types import ModuleType
from typing import TYPE_CHECKING

from farthing.sdk.abandoned import our_own_work

if TYPE_CHECKING:
    import httpx2

    from farthing.engine.recall import Recall, Served

CACHE_HEADER = "x-farthing-cache"


def find(recall: "Recall | None") -> "Served | None":
    """The answer to a call, if it is kept."""
    if recall is None:
        return None
    with our_own_work:
        return recall.find()


async def find_async(recall: "Recall | None") -> "Served | None":
    """Do as find does, without blocking the event loop."""
    if recall is None:
        return None
    with our_own_work:
        return await recall.find_async()


def kept_response(family: ModuleType, served: "Served") -> "httpx2.Response":
    """An answer from the cache as the SDK expects it: the bytes of the one that was bought."""
    headers = {"content-type": served.kept.content_type, CACHE_HEADER: "hit"}
    if served.grant.model != served.grant.call.facts.model:
        headers["x-farthing-model"] = served.grant.model.encode("ascii", "replace").decode()
    answer: httpx2.Response = family.Response(200, headers=headers, content=served.kept.body)
    return answer
