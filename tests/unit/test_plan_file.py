"""The plan file: what is read back, what is refused, and that every refusal is one clear message."""

import functools
import hashlib
import json
import logging
import re
from contextlib import suppress
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from plan_samples import (
    MD5,
    OTHER_MD5,
    JsonObject,
    first_file,
    first_raw_file,
    make_plan,
    plan_bytes,
    plan_document,
    planned_file,
    planned_raw_file,
)

from schemas.errors import PlanError
from schemas.plan import CompiledFrom, Plan, PlannedFile, RawFilePlan, UnresolvedFile
from schemas.plan_file import read_plan, seal_plan
from schemas.plan_text import UNDIGESTED

PLAN_BYTES = plan_bytes(make_plan())


def to_bytes(document: object) -> bytes:
    return json.dumps(document).encode()


def refusal(content: bytes) -> str:
    """The message with which a plan is refused."""
    with pytest.raises(PlanError) as refused:
        read_plan(content, "plan.json")
    message = str(refused.value)
    assert message.startswith("plan.json: ")
    assert all(line.isprintable() for line in message.split("\n"))
    return message


# --- what is written is read back

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
components = st.text(
    st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="/"), min_size=1, max_size=8
).filter(lambda text: text not in {".", ".."} and not text.casefold().startswith((".kraken", "_download")))
notes = st.just(()) | st.lists(st.text(st.characters(exclude_categories=["Cs"]), min_size=1), max_size=2).map(tuple)
planned_files = st.builds(
    PlannedFile,
    relative_path=st.lists(components, min_size=1, max_size=3).map("/".join),
    s3_key=st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12),
    expected_etag=st.sampled_from([MD5, OTHER_MD5]),
    chunk_size_mb=st.integers(1, 5120),
    expected_size=st.none() | st.integers(1, 5 * 1024**3),
    version_id=st.none() | st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=5),
    expected_md5=st.none() | st.just(OTHER_MD5),
    notes=notes,
)
unresolved_files = st.builds(
    UnresolvedFile,
    relative_path=texts,
    error=st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12),
    s3_key=st.none() | st.just("k"),
    expected_etag=st.none() | st.just(f"{MD5}-7"),
    chunk_size_mb=st.none() | st.just(5),
    expected_size=st.none() | st.just(0),
    absolute_dest_path=st.none() | st.just("/out/PRID001/a"),
    notes=notes,
)


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    """Any plan without conflicts: each raw file has a project of its own and no file is another's folder."""
    raw_files = []
    for number, raw_file_id in enumerate(draw(st.lists(texts, unique=True, max_size=4))):
        files: list[PlannedFile | UnresolvedFile] = list(
            draw(
                st.lists(planned_files, min_size=1, max_size=3, unique_by=lambda file: file.relative_path.split("/")[0])
            )
        )
        files += draw(st.lists(unresolved_files, max_size=2))
        raw_file = planned_raw_file(raw_file_id, *files, project_id=f"PRID{number}")
        if draw(st.booleans()):
            raw_file = replace(raw_file, files=(), error="RawFile not found in the catalog", bucket_name=None)
        raw_files.append(replace(raw_file, notes=draw(notes)))
    return replace(make_plan(), raw_files=tuple(raw_files))


@given(plans())
def test_a_plan_should_read_back_as_it_was_written(plan: Plan) -> None:
    content = plan_bytes(plan)
    read = read_plan(content, "plan.json")
    assert replace(read, plan_digest=None) == plan
    assert plan_bytes(read) == content
    assert seal_plan(content, "plan.json") == content


@settings(max_examples=30)
@given(plans())
def test_the_text_should_be_indented_json_in_utf8_with_one_newline_at_the_end(plan: Plan) -> None:
    text = plan_bytes(plan).decode()
    assert text == json.dumps(json.loads(text), indent=2, ensure_ascii=False) + "\n"


@settings(max_examples=30)
@given(plans())
def test_the_digest_should_be_sha256_over_the_canonical_json(plan: Plan) -> None:
    document = json.loads(plan_bytes(plan))
    content = {name: value for name, value in document.items() if name not in UNDIGESTED}
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert document["plan_digest"] == f"sha256:{hashlib.sha256(canonical.encode()).hexdigest()}"


@settings(max_examples=30)
@given(plans())
def test_only_a_plan_with_notes_should_be_of_format_1_1(plan: Plan) -> None:
    content = plan_bytes(plan)
    assert (b'"notes": [' in content) == plan.has_notes()
    assert json.loads(content)["format_version"] == ("1.1" if plan.has_notes() else "1.0")


def test_a_plan_without_notes_should_keep_the_digest_that_it_always_had() -> None:
    digest = "sha256:6f33147538b684d2f88ee488fbbbdadb6b4f590a6f8508bc35ec46cee4f61be4"
    assert read_plan(PLAN_BYTES, "plan.json").plan_digest == digest


def test_notes_should_be_part_of_the_digest() -> None:
    noted = make_plan(replace(planned_raw_file(), notes=("backup_status is upload_failed",)))
    digests = {read_plan(plan_bytes(plan), "plan.json").plan_digest for plan in (make_plan(), noted)}
    assert len(digests) == 2
    changed = plan_bytes(noted).replace(b"upload_failed", b"upload_faked!")
    assert "the plan was changed after it was compiled" in refusal(changed)


@pytest.mark.parametrize("odd", ["a note", [5], [""], ["x" * 1001], ["x"] * 101, None])
@pytest.mark.parametrize("of_file", [False, True])
def test_notes_that_are_no_short_texts_should_be_refused(odd: object, *, of_file: bool) -> None:
    document = {**plan_document(), "format_version": "1.1"}
    (first_file(document) if of_file else first_raw_file(document))["notes"] = odd
    assert "notes" in refusal(to_bytes(document))


def test_an_empty_plan_should_be_a_plan() -> None:
    empty = replace(make_plan(), raw_files=())
    assert read_plan(plan_bytes(empty), "plan.json").raw_files == ()


# --- the digest


def test_a_plan_without_a_digest_should_be_accepted_and_given_one() -> None:
    read = read_plan(to_bytes(plan_document()), "plan.json")
    assert read.plan_digest == json.loads(PLAN_BYTES)["plan_digest"]


def test_a_changed_plan_should_be_refused_until_it_is_sealed() -> None:
    changed = PLAN_BYTES.replace(b"eu-central-1", b"eu-west-1")
    message = refusal(changed)
    assert "changed after it was compiled" in message
    assert "kraken-plan seal" in message
    assert json.loads(PLAN_BYTES)["plan_digest"] in message
    assert read_plan(seal_plan(changed, "plan.json"), "plan.json").s3.region == "eu-west-1"


@pytest.mark.parametrize("name", ["created_at", "created_by", "compiled_from"])
def test_what_is_only_for_people_should_not_be_digested(name: str) -> None:
    document = json.loads(PLAN_BYTES)
    del document[name]
    assert read_plan(to_bytes(document), "plan.json").plan_digest == document["plan_digest"]


# --- scorecard row 1: no plan at all


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "the file is empty"),
        (b" \n", "the file is empty"),
        (PLAN_BYTES[:400], "not a JSON document"),
        (b"\xef\xbb\xbf" + PLAN_BYTES, "BOM"),
        (PLAN_BYTES.decode().encode("utf-16"), "not UTF-8: byte 0xff at offset 0"),
        (PLAN_BYTES.decode().encode("utf-16-be"), "not a JSON document"),
        (PLAN_BYTES.replace(b"PRID001", b"PRID\xe4", 1), "not UTF-8: byte 0xe4"),
        (PLAN_BYTES + b"{}", "Extra data"),
        (b"[" * 200_000, "brackets nested too deeply"),
        (b'{"format_version": "1.0", "raw_files": ' + b"[" * 989 + b"]" * 989 + b"}", ""),
        (b"[]", "expected a JSON object at the top"),
        (b"null", "expected a JSON object at the top"),
    ],
)
def test_a_file_that_is_not_a_plan_should_be_refused_in_one_message(content: bytes, words: str) -> None:
    assert words in refusal(content)


def with_size(literal: str) -> bytes:
    document = plan_document()
    first_file(document)["expected_size"] = "SIZE"
    return json.dumps(document, indent=2).replace('"SIZE"', literal).encode()


@pytest.mark.parametrize(
    ("literal", "words"),
    [
        ("NaN", "NaN: a plan contains only whole numbers"),
        ("-Infinity", "-Infinity: a plan contains only whole numbers"),
        ("1e3", "1e3: a plan contains only whole numbers"),
        ("500.0", "500.0: a plan contains only whole numbers"),
        ("true", "expected_size: True is not of type 'integer', 'null'"),
        ('"3"', "expected_size: '3' is not of type"),
        ("-1", "less than the minimum"),
        ("9" * 20, "greater than the maximum"),
        ("9" * 400, "expected_size"),
        ("9" * 5000, "thousands of digits"),
    ],
)
def test_a_size_that_is_no_whole_number_should_be_refused(literal: str, words: str) -> None:
    assert words in refusal(with_size(literal))


def test_a_number_that_is_refused_should_be_named_with_its_line() -> None:
    content = with_size("1e3")
    line = content[: content.index(b"1e3")].count(b"\n") + 1
    assert f"line {line}: " in refusal(content)


@pytest.mark.parametrize("twice", ['"s3"', '"sample.raw"', '"relative_path"'])
def test_a_key_that_stands_twice_should_be_refused(twice: str) -> None:
    text = json.dumps(plan_document())
    content = text.replace(f"{twice}:", f'{twice}: null, "x": 1, {twice}:', 1).encode()
    assert f"{twice}: this key appears twice" in refusal(content)


@pytest.mark.parametrize("place", ["raw_file_id", "project_id", "compiled_from", "unknown"])
def test_a_lone_surrogate_should_be_refused_wherever_it_is(place: str) -> None:
    document = plan_document()
    if place == "raw_file_id":
        document["raw_files"] = {"\ud800": first_raw_file(document)}
    elif place == "project_id":
        first_raw_file(document)["project_id"] = "\ud800"
    elif place == "compiled_from":
        document["compiled_from"] = {"catalog": "\ud800", "config": None}
    else:
        document["\ud800"] = 1
    assert "lone surrogate \\ud800" in refusal(to_bytes(document))


# --- scorecard rows 2 to 4: a plan that says what cannot be


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"expected_etag": f"{MD5}-2"}, "3 bytes in chunks of 5 MB make 1 parts, the etag names 2"),
        ({"expected_etag": f"{MD5}-10001", "expected_size": None}, "names 10001 parts"),
        ({"expected_etag": MD5.upper()}, "expected_etag"),
        ({"expected_etag": f'"{MD5}"'}, "expected_etag"),
        ({"expected_etag": f"{MD5}\n"}, "expected_etag"),
        ({"expected_etag": None}, "expected_etag"),
        ({"chunk_size_mb": 0}, "chunk_size_mb"),
        ({"chunk_size_mb": 5121}, "chunk_size_mb"),
        ({"s3_key": ""}, "s3_key"),
        ({"unknown": 1}, "'unknown' was unexpected"),
        (
            {"relative_path": "../x", "absolute_dest_path": "/out/PRID001/../x"},
            "Unsafe path: it has the component '..'",
        ),
        ({"absolute_dest_path": "/etc/passwd"}, "absolute_dest_path is /etc/passwd, expected /out/PRID001/sample.raw"),
        ({"relative_path": "a\nb"}, "U+000A"),
    ],
)
def test_a_file_that_can_never_be_restored_should_be_refused_by_name(change: JsonObject, words: str) -> None:
    document = plan_document()
    first_file(document).update(change)
    message = refusal(to_bytes(document))
    assert words in message
    assert "sample.raw" in message


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"destination_base": "/etc"}, "it is not within the output_location /out"),
        ({"destination_base": "/output"}, "it is not within the output_location /out"),
        ({"destination_base": "/out/../etc"}, "'..'"),
        ({"destination_base": None}, "destination_base"),
        ({"bucket_name": "a/b"}, "not a bucket name"),
        ({"bucket_name": None}, "bucket_name"),
        ({"files": []}, "files"),
        ({"skipped": True}, "skipped"),
        ({"error": "gone"}, "skipped"),
        ({"unknown": 1}, "'unknown' was unexpected"),
    ],
)
def test_a_raw_file_that_breaks_the_rules_should_be_refused_by_name(change: JsonObject, words: str) -> None:
    document = plan_document()
    first_raw_file(document).update(change)
    message = refusal(to_bytes(document))
    assert words in message
    assert "sample.raw" in message


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"unknown": 1}, "'unknown' was unexpected"),
        ({"output_location": "out"}, "output_location"),
        ({"output_location": "/out/"}, "output_location"),
        ({"output_location": "/a/../out"}, "output_location"),
        ({"raw_files": []}, "raw_files"),
        ({"s3": {"region": None}}, "endpoint_url"),
        ({"s3": {"region": None, "endpoint_url": "http://user:hunter2@host"}}, "endpoint_url"),
        *(({"s3": {"region": region, "endpoint_url": None}}, "region") for region in ("-eu", "eu-", "12", "e u")),
        ({"created_at": "yesterday"}, "created_at"),
        ({"plan_digest": "sha256:x"}, "plan_digest"),
    ],
)
def test_a_head_that_breaks_the_rules_should_be_refused_by_name(change: JsonObject, words: str) -> None:
    assert words in refusal(to_bytes({**plan_document(), **change}))


@pytest.mark.parametrize("name", ["format_version", "s3", "output_location", "raw_files"])
def test_what_is_missing_should_be_named(name: str) -> None:
    document = plan_document()
    del document[name]
    assert f"'{name}' is a required property" in refusal(to_bytes(document))


def test_everything_that_is_wrong_should_be_listed_at_once() -> None:
    files = [planned_file(f"f{number}") for number in range(30)]
    document = plan_document(planned_raw_file("sample.d", *files))
    raw_file = first_raw_file(document)
    assert isinstance(raw_file["files"], list)
    for file in raw_file["files"]:
        file["expected_etag"] = f"{MD5}-2"
    message = refusal(to_bytes(document))
    assert "'f0'" in message
    assert "'f19'" in message
    assert "… and 10 more" in message


def test_another_major_version_should_be_refused_with_both_named() -> None:
    message = refusal(to_bytes({**plan_document(), "format_version": "2.0"}))
    assert "format_version is 2.0, this program reads 1.0" in message


@pytest.mark.parametrize("version", ["1", "1.0.0", 1.0, None, "1.0\n", "x"])
def test_a_format_version_that_is_malformed_should_be_refused(version: object) -> None:
    assert "plan.json" in refusal(to_bytes({**plan_document(), "format_version": version}))


def test_a_later_minor_version_should_be_read_with_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    # given
    document = {**plan_document(), "format_version": "1.7", "invented": {"a": [1]}}
    first_file(document)["later"] = "x"
    sealed = seal_plan(to_bytes(document), "plan.json")
    # when
    with caplog.at_level(logging.WARNING):
        read = read_plan(sealed, "plan.json")
    # then
    assert replace(read, plan_digest=None) == make_plan()
    assert "1.7" in caplog.text
    assert "invented, later" in caplog.text
    assert b"invented" in sealed
    assert b"1.7" in sealed


def test_a_later_minor_version_nested_without_end_should_be_refused_or_read(caplog: pytest.LogCaptureFixture) -> None:
    document = json.dumps({**plan_document(), "format_version": "1.7", "invented": "DEEP"})
    content = document.replace('"DEEP"', "[" * 985 + "]" * 985).encode()
    try:
        read_plan(content, "plan.json")
    except PlanError as error:
        # either is right, nothing else is; from Python 3.12 on, it is the digest that finds it too deep
        assert re.search("nested too deeply|no digest: Recursion limit", str(error))  # noqa: PT017
    else:
        assert "invented" in caplog.text


@pytest.mark.parametrize("number", [2**64, -(2**63) - 1, 10**400])
def test_a_number_of_a_later_minor_version_that_has_no_canonical_form_should_be_refused(number: int) -> None:
    document = {**plan_document(), "format_version": "1.7", "invented": [number]}
    assert "it has no canonical form, and so no digest" in refusal(to_bytes(document))
    with pytest.raises(PlanError, match="no canonical form"):
        seal_plan(to_bytes(document), "plan.json")


any_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()) | st.just(10**400),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


deep_json = st.integers(1, 400).map(
    lambda depth: functools.reduce(lambda inner, _: [inner], range(depth), list[object]())
)


@given(any_json, any_json | deep_json, st.sampled_from(["1.0", "1.7"]), st.binary(max_size=4), st.integers(0))
def test_nothing_but_our_error_should_come_out_of_any_plan(
    invented: object, in_file: object, version: str, spoilt: bytes, place: int
) -> None:
    document = {**plan_document(), "format_version": version, "invented": invented}
    first_file(document)["later"] = in_file
    content = to_bytes(document)
    place %= len(content)
    for plan in (content, content[:place] + spoilt + content[place + len(spoilt) :]):
        for read in (read_plan, seal_plan):
            with suppress(PlanError):
                read(plan, "plan.json")


# --- conflicts


def conflicts(*raw_files: RawFilePlan) -> str:
    return refusal(to_bytes(plan_document(*raw_files)))


def test_one_destination_with_two_contents_should_name_both_entries() -> None:
    one, other = planned_raw_file("a", planned_file("x")), planned_raw_file("b", planned_file("x", OTHER_MD5))
    message = conflicts(one, other)
    assert f"a: x conflicts with b: x: one destination, but etag {MD5} and {OTHER_MD5}" in message
    assert "b: x conflicts with a: x" in message


def test_one_destination_with_one_content_should_be_accepted() -> None:
    document = plan_document(planned_raw_file("a", planned_file("x")), planned_raw_file("b", planned_file("x")))
    assert len(read_plan(to_bytes(document), "plan.json").raw_files) == 2


def test_one_destination_in_parts_of_another_size_should_be_a_conflict() -> None:
    """The same multipart etag, cut another way, is of other bytes."""
    file = planned_file("x", f"{MD5}-2", size=None)
    assert "conflicts with" in conflicts(
        planned_raw_file("a", file), planned_raw_file("b", replace(file, chunk_size_mb=6))
    )


def test_a_file_that_would_be_anothers_folder_should_name_both_entries() -> None:
    message = conflicts(planned_raw_file("a", planned_file("x")), planned_raw_file("b", planned_file("x/y/z")))
    assert "a: x conflicts with b: x/y/z: one would have to be a file and the folder of the other" in message
    assert "b: x/y/z conflicts with a: x" in message


@pytest.mark.parametrize(
    ("catalog", "shown"),
    [
        *(
            (f"mongodb://user:{password}@host/krakendb", "mongodb://…@host/krakendb")
            for password in ("PASS", "PA/SS", "PA@SS", "PA SS")
        ),
        ("s3://bucket/of@someone", "s3://bucket/of@someone"),
        ("listing of s3://bucket/of@someone/", "listing of s3://bucket/of@someone/"),
        ("export of mongodb://user:PASS@host/db", "export of mongodb://…@host/db"),
    ],
)
def test_a_password_in_what_a_plan_was_compiled_from_should_be_left_out(catalog: str, shown: str) -> None:
    plan = make_plan(planned_raw_file("a", planned_file("a")))
    by_hand = replace(plan, compiled_from=CompiledFrom(catalog=catalog, config=None))

    read = read_plan(plan_bytes(by_hand), "plan.json")

    assert read.compiled_from == CompiledFrom(catalog=shown, config=None)


def test_a_key_that_is_the_relative_path_should_be_in_memory_once() -> None:
    (raw_file,) = read_plan(
        plan_bytes(make_plan(planned_raw_file("s.d", planned_file("s.d/analysis.tdf")))), "p"
    ).raw_files
    (file,) = raw_file.files

    assert file.relative_path == "s.d/analysis.tdf"
    assert file.s3_key is file.relative_path
