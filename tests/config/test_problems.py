"""Every mistake in a file is named with its line and how to mend it."""

from pathlib import Path

import pytest

from farthing.config.load import load_policy
from farthing.domain.errors import PolicyError

FILES = Path(__file__).parent / "files"


def problems(folder: Path, *texts: str) -> list[str]:
    """What is said about these files, without the folder they are in."""
    paths = []
    for number, text in enumerate(texts):
        path = folder / f"{'abc'[number]}.yaml"
        path.write_text(text, encoding="utf-8")
        paths.append(path)
    with pytest.raises(PolicyError) as caught:
        load_policy(paths, {})
    return [str(problem).replace(f"{folder}/", "") for problem in caught.value.problems]


MISTAKES = [
    ("timezone: Europe/Londn", "timezone: 'Europe/Londn' is not a time zone; did you mean Europe/London?"),
    ("budgts: []", "budgts: is not a known key; did you mean budgets?"),
    (
        "environments: {dev: {outputbound: 3}}",
        "environments.dev.outputbound: is not a known key; did you mean output_bound?",
    ),
    (
        "environments: {dev: {at_limit: block}}",
        "environments.dev.at_limit: block is not a word known here; "
        "use one of: clamp, refuse, downgrade, overrun, observe",
    ),
    (
        "environments: {dev: {rate_limit: 10/second}}",
        "environments.dev.rate_limit: 10/second is not a rate; write it like 10/minute or 600/hour",
    ),
    (
        "environments: {dev: {token_limit: [1/minute, 2/minute]}}",
        "environments.dev.token_limit: limits the same thing twice, or nothing; "
        "keep one for each period and  per",
    ),
    (
        "environments: {dev: {calls_open: 8 per model}}",
        "environments.dev.calls_open: 8 per model is not a number of calls; "
        "write it like 8, or 50 per environment",
    ),
    (
        "budgets: [{name: b, limit: 1, period: monthly, months: {decembre: 2}}]",
        "budgets[0].months.decembre: decembre is not a month; did you mean december?",
    ),
    (
        "budgets: [{name: b, limit: 1, period: total, months: {12: 2}}]",
        "budgets[0]: has months, but its period has no month; "
        "use period: monthly, weekly, daily or hourly with months",
    ),
    (
        "environments: {dev: {output_bound: '5'}}",
        "environments.dev.output_bound: must be a whole number; write it without a point and without quotes",
    ),
    (
        "environments: {dev: {output_bound: 0}}",
        "environments.dev.output_bound: 0 is too small; write 1 or more",
    ),
    (
        "environments: {dev: {models: [gpt-4o]}}",
        "environments.dev.models: must hold keys with values; write  key: value  lines below it, indented",
    ),
    ("budgets: {name: b}", "budgets: must be a list; write its items below, each after a dash"),
    (
        "cost_tracking: {enabled: yes}",
        "cost_tracking.enabled: must be true or false; write true or false, without quotes",
    ),
    ("budgets: [{name: b, limit: 1}]", "budgets[0].period: is missing; add it"),
    (
        "budgets: [{name: b, limit: 1, period: month}]",
        "budgets[0].period: month is not a word known here; did you mean monthly? "
        "use one of: hourly, daily, weekly, monthly, run, total",
    ),
    (
        "budgets: [{name: b, limit: -5, period: daily}]",
        "budgets[0].limit: '-5' is not an amount of dollars; write it like $5, 5.00 or $1,000.00",
    ),
    (
        "budgets: [{name: b, limit: .nan, period: daily}]",
        "budgets[0].limit: 'NaN' is not an amount of dollars; write it like $5, 5.00 or $1,000.00",
    ),
    (
        "budgets: [{name: b, limit: 0.0000000001, period: daily}]",
        "budgets[0].limit: '0.0000000001' has more than nine decimals; the smallest amount is $0.000000001",
    ),
    (
        "budgets: [{name: b, limit: true, period: daily}]",
        "budgets[0].limit: is not an amount of dollars; write it like $5, 5.00 or $1,000.00",
    ),
    (
        "budgets: [{name: a/b, limit: 1, period: daily}]",
        "budgets[0].name: 'a/b' cannot be used as a name here; use up to 64 letters, digits, dots, dashes "
        "and underscores, beginning with a letter or digit",
    ),
    (
        "budgets: [{name: b, limit: 1, period: daily, alerts: [50.5]}]",
        "budgets[0].alerts[0]: 50.5 is not a percentage; write a whole number from 1 to 1000, such as 90",
    ),
    (
        "budgets: [{name: b, limit: 1, period: daily, match: {feature: []}}]",
        "budgets[0].match.feature: matches nothing; "
        "write a name, a pattern such as claude-*, or a list of them",
    ),
    (
        "budgets: [{name: b, limit: 1, period: daily, hard: true, at_limit: clamp}]",
        "budgets[0]: has both hard and at_limit; keep at_limit; "
        "hard: true means refuse, hard: false means overrun",
    ),
    (
        "budget_alerts: [{threshold_percent: 90, action: shout}]",
        "budget_alerts[0].action: shout is not a word known here; use one of: notify, downgrade, block",
    ),
    (
        "consumer_groups: [{name: web, api_key: a, api_key_ref: {env: B}, environment: dev}]",
        "consumer_groups[0]: has both api_key and api_key_ref; keep api_key_ref: {env: NAME}",
    ),
    (
        "consumer_groups: [{name: web}]",
        "consumer_groups[0]: group web names no environment; "
        "add  environment: NAME  to the group or the file",
    ),
    (
        "providers: {targets: [{id: t, provider: opnai}]}",
        "providers.targets[0].provider: opnai is not a provider known here; "
        "did you mean openai? Or give its base_url",
    ),
    (
        "providers: {targets: [{id: t, provider: azure}]}",
        "providers.targets[0].base_url: is missing: azure has no address of its own for this dialect; "
        "add base_url",
    ),
    (
        "providers: {targets: [{id: t, provider: vllm, base_url: 'localhost:8000'}]}",
        "providers.targets[0].base_url: is not the address of a server; "
        "write it like https://host/v1, without a name, key or query",
    ),
    (
        "providers: {targets: [{id: t, provider: vllm, base_url: 'https://me:secret@host/v1'}]}",
        "providers.targets[0].base_url: is not the address of a server; "
        "write it like https://host/v1, without a name, key or query",
    ),
    (
        "providers: {targets: [{id: t, provider: openai, secret_key_ref: {}}]}",
        "providers.targets[0].secret_key_ref: names no place or two; write {env: NAME} or {file: PATH}",
    ),
    (
        "providers: {targets: [{id: t, provider: openai, when_missing: OPENAI_API_KEY}]}",
        "providers.targets[0].when_missing: only a simulator can stand in while OPENAI_API_KEY is not set; "
        "write provider: simulator, or remove the key",
    ),
    (
        "providers: {targets: [{id: t, provider: deepseek, dialects: [openai, anthropic]}]}",
        "providers.targets[0].dialects: deepseek speaks these dialects at different addresses; "
        "write one target for each dialect",
    ),
    (
        "providers: {targets: [{id: t, provider: openai, pricing: {input: 1}}]}",
        "providers.targets[0].pricing: prices no model: this target serves any model of its provider; "
        "add  model:  or use the section prices",
    ),
    ("prices: {m: {output: 1}}", "prices.m.input: is missing; add it"),
    ("a: &x [*x]", "a[0]: repeats itself without end; write the values out"),
    ("organization: !secret x", "organization: x is written in a way that is not understood; remove the tag"),
    ("[1, 2]", "(file): must hold sections; write a starter policy with  farthing init"),
    ("", "(file): is empty; write a starter policy with  farthing init"),
    (
        "organization: acme\n---\ntimezone: UTC",
        "(file): holds two documents; split them into two files and name both",
    ),
]


@pytest.mark.parametrize(("text", "said"), MISTAKES, ids=[said.split(":")[0] for _, said in MISTAKES])
def test_a_mistake_is_named_with_its_place_and_its_remedy(tmp_path: Path, text: str, said: str) -> None:
    found = [line.split(": ", 1)[1] for line in problems(tmp_path, text)]
    assert said in found


def test_all_mistakes_of_a_file_are_named_at_once_in_the_order_of_their_lines(tmp_path: Path) -> None:
    text = (
        "timezone: Nowhere/City\n"
        "environments:\n"
        "  production:\n"
        "    cache:\n"
        "budgets:\n"
        "  - name: b\n"
        "    limit: five\n"
        "    period: daily\n"
        "    name: c\n"
    )
    assert problems(tmp_path, text) == [
        "a.yaml:1: timezone: 'Nowhere/City' is not a time zone; "
        "write an IANA zone such as Europe/London or UTC",
        "a.yaml:4: environments.production.cache: has no value; give it one, or remove the key",
        "a.yaml:7: budgets[0].limit: 'five' is not an amount of dollars; write it like $5, 5.00 or $1,000.00",
        "a.yaml:9: budgets[0].name: stands here a second time; the first is on line 6; keep one of them",
    ]


def test_a_secret_in_the_place_of_its_name_is_not_repeated(tmp_path: Path) -> None:
    text = "providers: {targets: [{id: t, provider: openai, secret_key_ref: {env: sk-proj-1}}]}"
    assert problems(tmp_path, text) == [
        "a.yaml:1: providers.targets[0].secret_key_ref.env: is not the name of a variable; "
        "write its name, such as OPENAI_API_KEY, never the secret"
    ]


def test_an_amount_that_its_comma_cut_in_two_is_recognised(tmp_path: Path) -> None:
    text = (
        "environments: {development: {}}\n"
        "budgets:\n"
        "  - {name: b, match: {environment: development}, limit: $1,250.00, period: daily}\n"
    )

    assert problems(tmp_path, text) == [
        "a.yaml:3: budgets[0].250.00: has no value; it looks like the rest of an amount that was cut at its "
        'comma; put quotes around the amount, such as "$1,250.00", or leave the comma out'
    ]


class TestAcrossFiles:
    def test_one_budget_name_in_two_files_is_a_mistake(self, tmp_path: Path) -> None:
        text = "budgets: [{name: b, limit: 1, period: daily}]"
        assert problems(tmp_path, text, text) == [
            "b.yaml:1: budgets[0].name: b names two budgets; give each its own name"
        ]

    def test_one_target_id_for_two_targets_is_a_mistake(self, tmp_path: Path) -> None:
        text = "providers: {targets: [{id: t, provider: openai, model: %s}]}"
        assert problems(tmp_path, text % "gpt-4o", text % "o3") == [
            "b.yaml:1: providers.targets[0].id: t names two targets; give each its own id"
        ]

    def test_one_thing_said_twice_of_an_environment_is_a_mistake(self, tmp_path: Path) -> None:
        text = "environments:\n  dev:\n    output_bound: %s\n"
        assert problems(tmp_path, text % 1, text % 2) == [
            "b.yaml:3: environments.dev.output_bound: dev has output_bound in two files; keep one of them"
        ]

    def test_two_zones_are_a_mistake(self, tmp_path: Path) -> None:
        assert problems(tmp_path, "timezone: UTC", "timezone: Europe/London") == [
            "b.yaml:1: timezone: Europe/London here and UTC in another file, and it holds for all; "
            "say it once"
        ]

    def test_one_key_for_two_groups_is_a_mistake(self, tmp_path: Path) -> None:
        text = "consumer_groups: [{name: %s, environment: dev, api_key: same}]"
        assert problems(tmp_path, text % "one", text % "two") == [
            "b.yaml:1: consumer_groups[0].api_key: is the key of another group too; "
            "a key belongs to one group; make a second key"
        ]

    def test_a_group_of_an_environment_that_is_declared_nowhere_is_a_mistake(self, tmp_path: Path) -> None:
        assert problems(
            tmp_path,
            "environments: {development: {}}",
            "consumer_groups: [{name: w, environment: developmnt}]",
        ) == [
            "b.yaml:1: consumer_groups[0].environment: developmnt is not among the environments; "
            "did you mean development? Or declare it under environments"
        ]


class TestLostIndentation:
    def flat(self, name: str) -> str:
        return "\n".join(line.strip() for line in (FILES / name).read_text("utf-8").splitlines())

    def test_a_file_copied_flat_with_lists_is_recognised(self, tmp_path: Path) -> None:
        (said,) = problems(tmp_path, self.flat("groups.yaml"))
        assert said.startswith("a.yaml:5: (file): the indentation seems lost or uneven")

    def test_a_file_copied_flat_with_one_item_is_recognised(self, tmp_path: Path) -> None:
        flat = "cache:\nenabled: true\nttl_seconds: 7200\nproviders:\nrouting:\nstrategy: usage_based\n"
        assert problems(tmp_path, flat) == [
            "a.yaml:1: cache: the indentation seems lost: cache has no value, and enabled stands at the left "
            "margin; indent what belongs under cache by two spaces, and what is deeper by two more"
        ]

    def test_a_key_that_belongs_deeper_is_led_home(self, tmp_path: Path) -> None:
        assert problems(tmp_path, "consumer_groups:\n- name: dev\napi_key: k\nwallet_team_id: t\n") == [
            "a.yaml:3: api_key: is not a known key at the left margin; the indentation seems lost; "
            "it belongs under consumer_groups: indent it",
            "a.yaml:4: wallet_team_id: is not a known key at the left margin; the indentation seems lost; "
            "it belongs under consumer_groups: indent it",
        ]


class TestUnreadable:
    def test_a_file_that_is_not_there(self, tmp_path: Path) -> None:
        with pytest.raises(
            PolicyError, match=r"nope\.yaml: \(file\): is not there; write one with  farthing init"
        ):
            load_policy([tmp_path / "nope.yaml"], {})

    def test_a_file_that_is_a_folder(self, tmp_path: Path) -> None:
        with pytest.raises(PolicyError, match="cannot be read"):
            load_policy([tmp_path], {})

    def test_a_file_that_is_no_text(self, tmp_path: Path) -> None:
        path = tmp_path / "a.yaml"
        path.write_bytes(b"organization: \xff\n")
        with pytest.raises(PolicyError, match="is not UTF-8 text"):
            load_policy([path], {})

    def test_a_byte_order_mark_is_no_mistake(self, tmp_path: Path) -> None:
        path = tmp_path / "a.yaml"
        path.write_bytes(b"\xef\xbb\xbforganization: acme\n")
        assert load_policy([path], {}).policy.organization == "acme"

    def test_repeated_repetitions_do_not_fill_the_memory(self, tmp_path: Path) -> None:
        bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
            f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 9)
        )
        assert any("repeats itself without end" in line for line in problems(tmp_path, bomb))

    def test_a_number_of_thousands_of_digits_is_refused(self, tmp_path: Path) -> None:
        said = problems(tmp_path, f"environments: {{dev: {{output_bound: {'9' * 5000}}}}}")
        assert any("is not a number that can be kept" in line for line in said)
