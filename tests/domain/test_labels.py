"""What labels say besides themselves."""

import pytest

from farthing.domain.labels import told_by


def test_a_run_and_a_claimed_environment_have_places_of_their_own() -> None:
    told = told_by({"run": "r1", "environment": "production", "feature": "search"})
    assert (told.run, told.claimed_environment) == ("r1", "production")
    assert told.labels == {"feature": "search"}


@pytest.mark.parametrize("labels", [{}, {"feature": "search"}, {"run": ""}])
def test_without_them_nothing_is_claimed(labels: dict[str, str]) -> None:
    told = told_by(labels)
    assert (told.run, told.claimed_environment) == (None, None)
    assert "run" not in told.labels


def test_the_labels_that_were_given_stay_as_they_were() -> None:
    given = {"run": "r1", "env": "ci"}
    told_by(given)
    assert given == {"run": "r1", "env": "ci"}
