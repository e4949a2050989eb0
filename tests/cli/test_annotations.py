"""farthing annotation: announce a feature, list what was announced, let it expire."""

from pathlib import Path

import pytest

from tests.cli.conftest import CommandLine, told

ADD = ("annotation", "add", "--feature", "checkout", "--by", "ana")
SOON = (*ADD, "--starts", "2199-01-01", "--ships", "2199-02-01")


def test_a_feature_is_announced_listed_and_ended(farthing: CommandLine, company: Path) -> None:
    made = farthing(*SOON, "--reason", "prompts for checkout")
    assert made.stdout == "checkout is expected to cost more until 2199-02-15.\n", made.output

    (one,) = told(farthing("annotation", "list", "--json"))["annotations"]
    assert one["until"] == "2199-02-15T00:00:00.000000Z"
    assert (one["by"], one["note"], one["expired"]) == ("ana", "prompts for checkout", False)
    assert "prompts for checkout" in farthing("annotation", "list").stdout

    (ended,) = told(farthing("annotation", "end", "checkout", "--by", "ben", "--json"))["annotations"]
    assert (ended["expired"], ended["by"]) == (True, "ben")
    assert "No annotations" in farthing("annotation", "list").stdout
    assert "(expired)" in farthing("annotation", "list", "--all").stdout
    again = farthing("annotation", "end", "checkout")
    assert again.exit_code == 1
    assert "no annotation of checkout is in force" in again.stderr


def test_who_announced_what_is_in_the_audit(farthing: CommandLine, company: Path) -> None:
    assert farthing(*SOON, "--reason", "prompts").exit_code == 0
    (act,) = told(farthing("audit", "list", "--action", "annotate", "--json"))["audit"]
    assert (act["by"], act["about"], act["reason"]) == ("ana", "checkout", "prompts")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((*ADD, "--starts", "soon", "--ships", "2026-11-20"), "'soon' is no day"),
        ((*ADD, "--starts", "2026-11-20", "--ships", "2026-11-01"), "before work on it starts"),
        ((*SOON, "--until", "2198-01-01"), "expire (2198-01-01) before"),
    ],
)
def test_an_annotation_that_is_not_clear_is_not_kept(
    farthing: CommandLine, company: Path, words: tuple[str, ...], said: str
) -> None:
    result = farthing(*words)
    assert result.exit_code == 2
    assert said in result.stderr
