"""Ask every place where answers are kept for its promises."""

from farthing.cache.kept import Answers, Kept, Room
from tests.cache.words import MINUTE_US, NOON_US, ROOM, a_key, an_answer


def found(answers: Answers, number: int, environment: str = "development", since_us: int = 0) -> Kept | None:
    known = answers.find(environment, [a_key(number)], since_us=since_us)
    return None if known is None else known[1]


def is_kept(answers: Answers, number: int) -> bool:
    return found(answers, number) is not None


def test_an_answer_is_found_as_it_was_kept(answers: Answers) -> None:
    answers.keep("development", a_key(1), an_answer("\x00\xffhello"), ROOM)

    assert found(answers, 1) == an_answer("\x00\xffhello")
    assert found(answers, 2) is None


def test_no_environment_sees_the_answers_of_another(answers: Answers) -> None:
    answers.keep("development", a_key(1), an_answer("for development"), ROOM)
    answers.keep("production", a_key(1), an_answer("for production"), ROOM)

    assert found(answers, 1, "production") == an_answer("for production")
    assert found(answers, 1, "development") == an_answer("for development")
    assert found(answers, 1, "staging") is None


def test_an_answer_is_found_only_while_it_is_young_enough(answers: Answers) -> None:
    answers.keep("development", a_key(1), an_answer(), ROOM)

    assert found(answers, 1, since_us=NOON_US - 1) is not None
    assert found(answers, 1, since_us=NOON_US) is None


def test_of_several_keys_the_first_that_has_an_answer_counts(answers: Answers) -> None:
    answers.keep("development", a_key(2), an_answer("second"), ROOM)
    answers.keep("development", a_key(3), an_answer("third"), ROOM)

    assert answers.find("development", [a_key(1), a_key(2), a_key(3)], since_us=0) == (1, an_answer("second"))


def test_a_newer_answer_takes_the_place_of_an_older_one(answers: Answers) -> None:
    answers.keep("development", a_key(1), an_answer("old"), ROOM)
    answers.keep("development", a_key(1), an_answer("new"), ROOM)

    assert found(answers, 1) == an_answer("new")
    assert [filled.entries for filled in answers.filled()] == [1]


def test_entry_5001_lets_go_of_the_one_used_longest_ago(answers: Answers) -> None:
    room = Room(entries_max=5_000, bytes_max=100_000_000, kept_us=7_200_000_000)
    for number in range(5_000):
        answers.keep("development", a_key(number), an_answer(), room)
    answers.use("development", a_key(0))

    answers.keep("development", a_key(5_000), an_answer(), room)

    assert [is_kept(answers, number) for number in (0, 1, 2, 5_000)] == [True, False, True, True]
    assert answers.filled()[0].entries == 5_000


def test_other_environments_do_not_give_way(answers: Answers) -> None:
    room = Room(entries_max=1, bytes_max=1_000_000, kept_us=MINUTE_US)
    answers.keep("production", a_key(1), an_answer(), room)
    answers.keep("development", a_key(2), an_answer(), room)
    answers.keep("development", a_key(3), an_answer(), room)

    assert [(filled.environment, filled.entries) for filled in answers.filled()] == [
        ("development", 1), ("production", 1),
    ]  # fmt: skip


def test_no_more_bytes_are_kept_than_there_is_room_for(answers: Answers) -> None:
    room = Room(entries_max=100, bytes_max=2_500, kept_us=MINUTE_US)
    for number in range(5):
        answers.keep("development", a_key(number), an_answer("x" * 1_000), room)

    (filled,) = answers.filled()
    assert filled.entries == 2
    assert filled.bytes <= 2_500
    assert [is_kept(answers, number) for number in range(5)] == [False, False, False, True, True]


def test_an_answer_that_is_larger_than_all_room_is_not_kept(answers: Answers) -> None:
    room = Room(entries_max=100, bytes_max=500, kept_us=MINUTE_US)
    answers.keep("development", a_key(1), an_answer("small"), room)

    answers.keep("development", a_key(1), an_answer("x" * 1_000), room)

    assert not is_kept(answers, 1)
    assert sum(filled.entries for filled in answers.filled()) == 0


def test_room_that_became_smaller_is_kept_to_with_the_next_answer(answers: Answers) -> None:
    for number in range(10):
        answers.keep("development", a_key(number), an_answer(), ROOM)

    answers.keep(
        "development", a_key(10), an_answer(), Room(entries_max=3, bytes_max=10_000, kept_us=MINUTE_US)
    )

    assert [number for number in range(11) if is_kept(answers, number)] == [8, 9, 10]


def test_what_nobody_can_find_any_more_gives_its_room_back(answers: Answers) -> None:
    for number in range(5):
        answers.keep("development", a_key(number), an_answer(), ROOM)

    answers.keep("development", a_key(9), an_answer(at_us=NOON_US + ROOM.kept_us), ROOM)

    (filled,) = answers.filled()
    assert (filled.entries, filled.oldest_at_us) == (1, NOON_US + ROOM.kept_us)


def test_one_environment_or_all_can_be_cleared(answers: Answers) -> None:
    for environment in ("development", "staging", "production"):
        answers.keep(environment, a_key(1), an_answer(), ROOM)

    assert answers.clear("staging") == 1
    assert [filled.environment for filled in answers.filled()] == ["development", "production"]
    assert answers.clear() == 2
    assert answers.filled() == []
    assert answers.clear("nowhere") == 0
