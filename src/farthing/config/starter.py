"""Write the policy file that a new user begins with: it works without any key, and governs with one."""

from importlib.resources import files

ORGANIZATION, TIMEZONE = "my-company", "UTC"


def starter_policy(*, organization: str = ORGANIZATION, timezone: str = TIMEZONE) -> str:
    """The text of a commented farthing.yaml for development, staging, CI and production."""
    text = files("farthing.config").joinpath("starter.yaml").read_text("utf-8")
    text = text.replace(f"organization: {ORGANIZATION}", f"organization: {_quoted(organization)}", 1)
    return text.replace(f"timezone: {TIMEZONE}", f"timezone: {timezone}", 1)


def _quoted(text: str) -> str:
    """Text as YAML reads it back: in quotes where a bare word would mean something else."""
    if text.replace("-", "").isalpha() and text.lower() not in ("true", "false", "null"):
        return text
    return "'" + text.replace("'", "''") + "'"
