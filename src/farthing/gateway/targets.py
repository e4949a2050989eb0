"""Where a target's calls go on the wire: its URL for a path, and the header that carries its secret."""

from collections.abc import Mapping

from yarl import URL

from farthing.domain.errors import PolicyError, Problem
from farthing.policy.rules import Policy, Target

_SECRET_HEADERS = {"openai": ("authorization", "Bearer {}"), "anthropic": ("x-api-key", "{}"),
                   "gemini": ("x-goog-api-key", "{}")}  # fmt: skip
_URLS_REMEMBERED = 4_096


class Targets:
    """Addresses and secrets of every target. Secrets live only here and never in a repr."""

    def __init__(
        self, policy: Policy, secrets: Mapping[str, str], *, simulator_url: str | None = None
    ) -> None:
        self._secrets = secrets
        self._simulator_url = simulator_url
        self._urls: dict[tuple[str, str, str], URL] = {}
        for target in policy.targets:
            for family in target.families:
                self._base_url(target, family)  # a target without an address is an error at start-up

    def url(self, target: Target, family: str, path: str, query: str) -> URL:
        """The full address of one call."""
        key = (target.id, path, query)
        url = self._urls.get(key)
        if url is None:
            text = self._base_url(target, family) + path + (f"?{query}" if query else "")
            url = URL(text, encoded=True)
            if len(self._urls) >= _URLS_REMEMBERED:
                self._urls.clear()
            self._urls[key] = url
        return url

    def secret_header(self, target: Target, family: str) -> tuple[str, str] | None:
        """The header that authenticates us to the provider; None for servers that ask for none."""
        secret = self._secrets.get(target.id)
        if secret is None:
            return None
        name, form = _SECRET_HEADERS[family]
        if target.provider == "azure":
            name, form = "api-key", "{}"
        return name, form.format(secret)

    def _base_url(self, target: Target, family: str) -> str:
        if target.simulated or target.mock:
            if self._simulator_url is None:
                raise _unusable(
                    target, "needs the simulator, and none is running here", "start the gateway anew"
                )
            mock = "/mock" if target.mock else ""
            return f"{self._simulator_url}{mock}" + ("/v1" if family == "openai" else "")
        if target.base_url is None:
            raise _unusable(target, f"of {target.provider} has no base_url", "add its  base_url")
        return target.base_url.rstrip("/")


def _unusable(target: Target, message: str, fix: str) -> PolicyError:
    key = f"target {target.id}"
    return PolicyError((Problem(file="policy", line=None, key=key, message=message, fix=fix),))
