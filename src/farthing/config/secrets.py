"""Find the secrets that targets refer to; nothing here ever shows one."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from farthing.domain.errors import PolicyError, Problem
from farthing.policy.rules import Group, Policy, Target


class Secrets(Mapping[str, str]):
    """The key of each target by its id. Showing this shows only whose keys there are."""

    def __init__(self, keys: Mapping[str, str]) -> None:
        self._keys = dict(keys)

    def __getitem__(self, target_id: str) -> str:
        return self._keys[target_id]

    def __iter__(self) -> Iterator[str]:
        return iter(self._keys)

    def __len__(self) -> int:
        return len(self._keys)

    def __repr__(self) -> str:
        return f"Secrets({', '.join(self._keys)})"

    def __reduce__(self) -> str:
        """Refuse to be pickled: a secret does not leave its process."""
        raise TypeError("secrets are not pickled")


def resolve_secrets(policy: Policy, environ: Mapping[str, str]) -> Mapping[str, str]:
    """Find the key of every target that needs one.

    Raises PolicyError that names each target, or group, and the variable or file that is missing.
    """
    keys: dict[str, str] = {}
    problems: list[Problem] = []
    for target in policy.targets:
        found = _secret(target, environ)
        if isinstance(found, Problem):
            problems.append(found)
        elif found is not None:
            keys[target.id] = found
    problems += [
        _missing_variable(f"group {group.name}", group.key_env)
        for group in policy.groups
        if group.key_env is not None and _is_missing(group, environ)
    ]
    if problems:
        raise PolicyError(tuple(problems))
    return Secrets(keys)


def _is_missing(group: Group, environ: Mapping[str, str]) -> bool:
    return group.key_sha256 is None and not environ.get(group.key_env or "")


def _secret(target: Target, environ: Mapping[str, str]) -> str | Problem | None:
    whose = f"target {target.id}"
    if target.secret_env is not None:
        secret = environ.get(target.secret_env, "").strip()
        if not secret:
            return _missing_variable(whose, target.secret_env)
    elif target.secret_file is not None:
        try:
            secret = Path(target.secret_file).read_text("utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            return _problem(
                target.secret_file,
                whose,
                f"its key cannot be read ({type(error).__name__})",
                "write the key, and nothing else, into this file",
            )
    else:
        return None
    if not secret or not secret.isascii() or not secret.isprintable():
        return _problem(
            target.secret_file or "environment", whose, "its key is not one line of plain text", "set it anew"
        )
    return secret


def _missing_variable(whose: str, variable: str) -> Problem:
    return _problem(
        "environment",
        whose,
        f"needs {variable}, which is not set",
        f"export {variable}=…, or remove the {whose.partition(' ')[0]} from the policy",
    )


def _problem(file: str, whose: str, message: str, fix: str) -> Problem:
    return Problem(file=file, line=None, key=whose, message=message, fix=fix)
