"""The site YAML: what is taken from it, and what is said of one that is wrong."""

import json
import os
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from plan_samples import make_plan, plan_bytes
from sample_data import write_site_yaml

from schemas.errors import ConfigError, PlanError
from schemas.plan import S3Settings
from schemas.plan_file import read_plan
from schemas.s3_location import explain_bad_endpoint_url, explain_bad_region
from schemas.site.config import SiteConfig, load_site_config, read_site_settings
from schemas.site.settings import SiteSettings, normalize_output_location

GOOD = "locations:\n  output: /out\n"


def load(tmp_path: Path, text: str, output_root: str | None = None) -> SiteConfig:
    path = tmp_path / "alphakraken.test.yaml"
    path.write_text(text, encoding="utf-8")
    return load_site_config(str(path), output_root)


def refusal(tmp_path: Path, text: str) -> str:
    with pytest.raises(ConfigError) as refused:
        load(tmp_path, text)
    message = str(refused.value)
    assert "alphakraken.test.yaml" in message
    assert message.isprintable()
    return message


def test_a_site_yaml_should_be_read_among_settings_of_others(tmp_path: Path) -> None:
    path = tmp_path / "alphakraken.test.yaml"
    write_site_yaml(path, output_location=Path("/out"), region="eu-central-1", endpoint_url="http://127.0.0.1:9000")
    assert load_site_config(str(path), None) == SiteConfig(
        output_location="/out",
        region="eu-central-1",
        endpoint_url="http://127.0.0.1:9000",
        name="alphakraken.test.yaml",
    )


@pytest.mark.parametrize(
    "output",
    [
        "output: /out",
        "output: /out/",
        "output: //out///",
        "output: {absolute_path: /out}",
        "output: {absolute_path: /out/, x: 1}",
    ],
)
def test_the_output_location_should_be_accepted_in_both_forms(tmp_path: Path, output: str) -> None:
    config = load(tmp_path, f"locations:\n  {output}\n")
    assert config == SiteConfig(output_location="/out", name="alphakraken.test.yaml")


@pytest.mark.parametrize(
    "backup", ["", "backup:", "backup: {s3: }", "backup: {s3: {region: }}", "backup: {s3: {region: ''}}"]
)
def test_a_missing_region_should_be_left_to_the_aws_chain(tmp_path: Path, backup: str) -> None:
    assert load(tmp_path, GOOD + backup).region is None


def test_an_output_root_should_take_the_place_of_the_yamls(tmp_path: Path) -> None:
    region = "backup: {s3: {region: eu-west-1}}\n"
    expected = SiteConfig(output_location="/mnt/x", region="eu-west-1", name="alphakraken.test.yaml")
    assert load(tmp_path, GOOD + region, "/mnt//x/") == expected
    assert load(tmp_path, region, "/mnt/x") == expected


def test_an_output_root_alone_should_leave_s3_to_the_aws_chain() -> None:
    assert load_site_config(None, "/mnt/x/") == SiteConfig(output_location="/mnt/x")
    assert load_site_config(None, "/") == SiteConfig(output_location="/")


def test_neither_yaml_nor_output_root_should_say_what_to_give() -> None:
    with pytest.raises(ConfigError, match=r"--config or KRAKEN_PLAN_CONFIG.*--output-root or KRAKEN_PLAN_OUTPUT_ROOT"):
        load_site_config(None, None)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "expected a mapping at the top, found nothing"),
        ("- a", "expected a mapping at the top, found a list"),
        ("a: [1", "is not YAML: expected ',' or ']', but got '<stream end>' in line 1, column 6"),
        ("a: 1\nb: @x", "in line 2, column 4"),
        ("a: \x00", "is not YAML"),
        ("a: " + "[" * 1500, "nested too deeply"),
        ("locations:", "locations.output.absolute_path is missing: set it there, or give --output-root"),
        ("a: 1", "locations.output.absolute_path is missing"),
        ("locations: {output: {}}", "locations.output.absolute_path is missing"),
        (
            "locations: {output: {absolute_path: 5}}",
            "locations.output.absolute_path: expected text, found 5 (int; in quotes it would be text)",
        ),
        ("locations: {output: [a]}", "locations.output: expected text, found a list"),
        ("locations: [a]", "locations: expected a mapping, found a list"),
        ("locations: {output: out}", "locations.output is 'out': it is not absolute"),
        (
            "locations: {output: {absolute_path: /a/../b}}",
            "locations.output.absolute_path is '/a/../b': it has the component '..'",
        ),
        ('locations: {output: "/a\\nb"}', "U+000A"),
        (
            GOOD + "backup: {s3: {region: 5}}",
            "backup.s3.region: expected text, found 5 (int; in quotes it would be text)",
        ),
        (
            GOOD + 'backup: {s3: {region: "eu-central-1\\n"}}',
            "backup.s3.region: 'eu-central-1\\n' is not the name of a",
        ),
        (GOOD + "backup: {s3: x}", "backup.s3: expected a mapping, found the text 'x'"),
        (GOOD + "backup: {s3: {endpoint_url: host:9000}}", "backup.s3.endpoint_url: 'host:9000' is not the address"),
    ],
)
def test_a_yaml_that_is_wrong_should_be_named_with_the_place(tmp_path: Path, text: str, words: str) -> None:
    assert words in refusal(tmp_path, text)


@pytest.mark.parametrize(
    ("region", "found"),
    [
        ("!!int " + "9" * 5000, f"{'9' * 60}… (4940 more characters) (int"),
        ("0x" + "f" * 5000, "0xfff"),
        (".inf", ".inf (float"),
        ("1.0e+999", "1.0e+999 (float"),
        ("2025-01-01", "2025-01-01 (timestamp"),
        ("yes", "yes (bool"),
        ("!vault abc", "abc (!vault"),
        ("{[a]: b}", "a mapping"),
        ("&a [*a]", "a list"),
    ],
)
def test_a_value_that_is_no_text_should_be_named_whatever_it_is(tmp_path: Path, region: str, found: str) -> None:
    message = refusal(tmp_path, f"{GOOD}backup:\n  s3:\n    region: {region}\n")
    assert f"backup.s3.region: expected text, found {found}" in message


def test_aliases_that_multiply_should_cost_nothing(tmp_path: Path) -> None:
    """ "A billion laughs": ten levels, each of which has the one before it ten times."""
    levels = "".join(f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 10)}]\n" for n in range(1, 10))
    laughs = f"l0: &l0 ha\n{levels}"
    assert load(tmp_path, laughs + GOOD).output_location == "/out"
    assert "locations.output: expected text, found a list" in refusal(tmp_path, f"{laughs}locations: {{output: *l9}}\n")
    assert "locations: expected a mapping, found a list" in refusal(tmp_path, f"{laughs}locations: *l9\n")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (f"{GOOD}other: 1\n{GOOD}", "locations appears twice, in lines 1 and 4"),
        ("locations: {output: /a, output: /b}", "locations.output appears twice, in lines 1 and 1"),
        ("locations:\n output:\n  absolute_path: /a\n  absolute_path: /a\n", "absolute_path appears twice, in lines 3"),
        (f"{GOOD}backup: {{s3: {{region: a}}}}\nbackup: {{s3: {{endpoint_url: http://h}}}}\n", "backup appears twice"),
    ],
)
def test_a_key_that_stands_twice_should_be_refused(tmp_path: Path, text: str, words: str) -> None:
    """YAML readers, AlphaKraken's among them, take the last one without a word."""
    assert words in refusal(tmp_path, text)


def test_keys_should_be_merged_as_yaml_has_it(tmp_path: Path) -> None:
    text = """
        one: &one {region: a, endpoint_url: http://one}
        two: &two {endpoint_url: http://two, <<: *one}
        backup: {s3: {region: own, <<: [*two, *one]}}
        locations: &l {<<: *l, output: /out}
    """
    config = load(tmp_path, text)
    assert (config.region, config.endpoint_url, config.output_location) == ("own", "http://two", "/out")


def test_a_file_that_is_too_large_to_be_a_yaml_should_be_refused(tmp_path: Path) -> None:
    assert "it has more than 1.0 MiB" in refusal(tmp_path, GOOD + "# comment\n" * 200_000)
    with pytest.raises(ConfigError, match="it is a device, expected a file"):
        load_site_config("/dev/zero", None)


WORDS = (
    "locations",
    "output",
    "absolute_path",
    "backup",
    "s3",
    "region",
    "/out",
    ".inf",
    "1e999",
    "9" * 5000,
    "2025-01-01",
)
MARKS = (
    ": ",
    ":\n  ",
    "\n",
    "- ",
    "[",
    "]",
    "{",
    "}",
    ", ",
    "? ",
    "|\n",
    ">-\n ",
    "'",
    '"',
    "#",
    "~",
    "\t",
    "\0",
    "\x85",
)
SPECIAL = (
    "&a ",
    "*a",
    "<<: ",
    "!!int ",
    "!x ",
    '"\\U00110000"',
    "%YAML 1." + "9" * 5000 + "\n",
    "---\n",
    "...\n",
    "0x",
)
yaml_pieces = st.sampled_from([*WORDS, *MARKS, *SPECIAL])


@given(st.lists(yaml_pieces, max_size=20).map("".join).map(str.encode) | st.binary(max_size=50))
def test_nothing_but_our_error_should_come_out_of_any_yaml(
    tmp_path_factory: pytest.TempPathFactory, text: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "alphakraken.fuzz.yaml"
    path.write_bytes(text)
    with suppress(ConfigError):
        assert load_site_config(str(path), None).output_location.startswith("/")


def test_an_endpoint_with_a_password_should_be_refused_without_showing_it(tmp_path: Path) -> None:
    message = refusal(tmp_path, GOOD + "backup: {s3: {endpoint_url: 'https://user:hunter2@host'}}")
    assert "it must not hold credentials" in message
    assert "hunter2" not in message


def test_a_yaml_that_cannot_be_read_should_be_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.yaml: there is no such file"):
        load_site_config(str(tmp_path / "none.yaml"), None)
    with pytest.raises(ConfigError, match="it is a folder"):
        load_site_config(str(tmp_path), None)
    (tmp_path / "latin1.yaml").write_bytes(b"a: \xe4\n")
    with pytest.raises(ConfigError, match=r"latin1\.yaml is not YAML"):
        load_site_config(str(tmp_path / "latin1.yaml"), None)


@pytest.mark.parametrize("path", ["", "out", "./out", "/a/../b", "/a/./b", "/a\nb", "/a\udcff"])
def test_an_output_root_that_is_unsafe_should_be_refused(path: str) -> None:
    with pytest.raises(ConfigError, match=r"^--output-root is "):
        normalize_output_location(path, "--output-root")


endpoints = st.from_regex(r"(https?|ftp|HTTP)://[a-z.:\[\]/@?# é\n0-9-]{0,20}", fullmatch=True) | st.sampled_from(
    ["http://h", "https://[::1]:9000/x", "http://h:99999", "http://h:0", "http://", "http://:80", "http://[x"]
)

ordinary_endpoints = st.from_regex(r"https?://[a-z][a-z.]{0,9}(:[1-9][0-9]{0,4})?(/[a-zé:-]{0,9})?", fullmatch=True)


@given(endpoints | ordinary_endpoints | ordinary_endpoints)
def test_an_endpoint_that_is_accepted_should_be_accepted_in_a_plan(url: str) -> None:
    assume(explain_bad_endpoint_url(url) is None)
    plan = replace(make_plan(), s3=S3Settings(endpoint_url=url))
    assert read_plan(plan_bytes(plan), "plan.json").s3.endpoint_url == url


@pytest.mark.parametrize("url", ["http://h", "https://s3.example.org:9000/base"])
def test_an_ordinary_endpoint_should_be_accepted(url: str) -> None:
    assert explain_bad_endpoint_url(url) is None


@pytest.mark.parametrize("region", ["eu-central-1", "us-gov-west-1", "EU", "default", "2b"])
def test_a_region_that_is_accepted_should_be_accepted_in_a_plan(region: str) -> None:
    assert explain_bad_region(region) is None
    plan = replace(make_plan(), s3=S3Settings(region=region))
    assert read_plan(plan_bytes(plan), "plan.json").s3.region == region


@pytest.mark.parametrize(
    "bad",
    [
        {"endpoint_url": "ftp://h"},
        {"region": "eu-central-1\n"},
        {"region": ""},
        {"region": "-eu"},
        {"region": "eu-"},
        {"region": "12"},
    ],
)
def test_the_sample_plan_should_be_refused_with_a_bad_endpoint_or_region(bad: dict[str, str]) -> None:
    """So that the tests above can fail."""
    document = json.loads(plan_bytes(make_plan()))
    document["s3"].update(bad)
    with pytest.raises(PlanError):
        read_plan(json.dumps(document).encode(), "plan.json")


@pytest.mark.parametrize(
    "other",
    [
        "2025-13-45",
        "2025-01-01T99:00:00Z",
        "0x_",
        "!vault abc",
        "!!int abc",
        "!x [1, {a: b}]",
        "{[a]: 1, ? {b: c} : 2}",
        "{a: 1, a: 2}",
        "!!bool abc",
        ".inf",
        "!!binary \xe4",
        "1.0e+999",
        "1" + ":59" * 500 + ".5",
        "!!int " + "9" * 5000,
        "0001-01-01T00:00:00+23:59",
        "&a [*a]",
        "!!python/object:os.system x",
        "&m {<<: *m}",
        "=",
        "!!set {a, b}",
        "!!pairs [a]",
    ],
)
def test_values_that_make_no_sense_to_us_should_not_disturb(tmp_path: Path, other: str) -> None:
    path = tmp_path / "alphakraken.test.yaml"
    path.write_text(f"other: {other}\n{GOOD}", encoding="utf-8")

    assert load_site_config(str(path), None).output_location == load_site_config(None, "/out").output_location


def test_the_section_should_be_read_with_what_is_merged_into_it(tmp_path: Path) -> None:
    text = (
        "shared: &shared {options: {jobs: 16}, commands: {apply: {on_corrupt: quarantine}}}\n"
        "kraken_plan: {<<: *shared, allowed_output_roots: [/fs/pool//restore/, /mnt]}\n"
    )
    expected = SiteSettings(
        options={"jobs": "16"},
        commands={"apply": {"on_corrupt": "quarantine"}},
        allowed_output_roots=("/fs/pool/restore", "/mnt"),
    )
    assert load(tmp_path, GOOD + text).settings == expected
    assert read_site_settings(str(tmp_path / "alphakraken.test.yaml")) == expected
    assert load(tmp_path, f"{GOOD}kraken_plan:\n").settings == SiteSettings()
    assert "kraken_plan: expected a mapping, found the text 'x'" in refusal(tmp_path, f"{GOOD}kraken_plan: x\n")


DEMAND = "approvals: {required: 1, allowed_signers: /s}"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        *(
            (f"{name}: {{{DEMAND}}}\n", f"{name} is not read: did you mean kraken_plan, at the top?")
            for name in ("kraken-plan", "Kraken_plan", "kraken_plans", "KRAKENPLAN", "kracken_plan", "kraken plan")
        ),
        (f"!x kraken_plan: {{{DEMAND}}}\n", "kraken_plan is not read"),
        (f"x: &x {{kraken-plan: {{{DEMAND}}}}}\n<<: *x\n", "kraken-plan is not read"),
        (f"kraken_plan: {{}}\nkraken_plans: {{{DEMAND}}}\n", "kraken_plans is not read"),
        (f"general: {{kraken_plan: {{{DEMAND}}}}}\n", "general.kraken_plan is not read: did you mean kraken_plan, at"),
        (f"b: {{s3: {{kraken_plan: {{{DEMAND}}}}}}}\n", "b.s3.kraken_plan is not read: did you mean kraken_plan, at"),
        (f"b: {{c: {{d: {{kraken-plan: {{{DEMAND}}}}}}}}}\n", "b.c.d.kraken-plan is not read"),
        (f"b: [1, [{{kraken_plan: {{{DEMAND}}}}}]]\n", "b.kraken_plan is not read"),
        (f"b: &b [*b, {{c: &c {{d: *c, kraken_plan: {{{DEMAND}}}}}}}]\n", "b.c.kraken_plan is not read"),
        (f"kraken_plan:\n{DEMAND}\n", "approvals.required is not read: it belongs below kraken_plan, at the top"),
        ("allowed_output_roots: [/x]\n", "allowed_output_roots is not read: it belongs below kraken_plan, at the top"),
        ("a: &a {required: 1}\nkraken_plan: {approvals: {<<: *a, required: ~}}\n", "approvals.required has no value"),
        ("kraken_plan: {approvals: }\n", "kraken_plan.approvals.required is missing"),
    ],
)
def test_settings_that_would_be_ignored_should_be_refused(tmp_path: Path, text: str, words: str) -> None:
    assert words in refusal(tmp_path, GOOD + text)


@pytest.mark.parametrize(
    "text",
    [
        "kraken: {options: {jobs: x}}\nalphakraken: 1\nplan: {commands: 5}\napprovals: {x: y}\n5: 6\n[a]: b\n",
        "kraken_plan: &me {options: {jobs: 1}}\nx: {y: *me}\n",
        "x: {kraken_plan: &x {options: {jobs: 1}}}\nkraken_plan: *x\n",
        "x: {y: {kraken_plan: &x {options: {jobs: 1}}}}\nkraken_plan: {<<: *x}\n",
        "x: &x {<<: {a: b}, y: 1}\nl: [*x, *x]\n",
        "kraken_path: {a: 1}\nx: {kraken_pool: 1, y: {kraken_main: 2, kraken_plot: 3}}\nkraken_port: 4\n",
        "x: {allowed_output_roots: [/x], approvals: {required: 1}}\napprovals: {x: {required: 1}}\n",
        "kraken_plan:\n",
    ],
)
def test_what_others_have_in_the_yaml_should_not_be_taken_for_ours(tmp_path: Path, text: str) -> None:
    assert load(tmp_path, GOOD + text).output_location == "/out"


@pytest.mark.timeout(60)
def test_a_pipe_in_place_of_a_yaml_should_be_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ConfigError, match="pipe cannot be read: it is a named pipe, expected a file"):
        load_site_config(str(tmp_path / "pipe"), None)
