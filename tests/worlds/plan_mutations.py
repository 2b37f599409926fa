"""Valid plans, spoiled at random and repeatably: as bytes, as text, as JSON. Decides nothing about what is right."""

import json
import random
from collections.abc import Iterator, Mapping
from copy import deepcopy
from pathlib import Path

from plan_samples import MD5, OTHER_MD5, JsonObject, plan_document, planned_file, planned_raw_file

EXAMPLE = Path(__file__).parents[2] / "examples/plans/plan.json"
# Stand in a document for what json.dumps cannot write, and are replaced in its text.
_LITERALS = {
    "@deep@": "[" * 100_000 + "]" * 100_000,
    "@deeper@": '{"a":' * 3000 + "1" + "}" * 3000,
    "@huge@": "9" * 5000,
    "@1e3@": "1e3",
    "@1e999@": "1e999",
    "@-0@": "-0",
    "@nan@": "NaN",
    "@infinity@": "-Infinity",
}
_TEXTS = (
    *("", " ", ".", "..", "../x", "a/../../x", "/", "//", "/etc/passwd", "a//b", "a/", "~/x", "$HOME", "C:\\x"),
    *("a\0b", "a\nb\r\x1b[2J", "\u202e\u2028", "\ud800", "é", "e\u0301", "\U0001f9ea" * 70, "x" * 300, "x/" * 3000),
    *(".kraken-plan/x", "a/.KRAKEN-plan", "_download_status_batch_x.txt", "x" * 100_000, "\x01" * 20_000),
    *(
        "http://u:p@h",
        "http://[",
        "http://h:99999",
        "file:///etc",
        "s3://b",
        "-",
        "--help",
        "null",
        "1.0",
        "2.0",
        "1.9",
    ),
    *(MD5.upper(), f'"{MD5}"', f"{MD5}-0", f"{MD5}-2", f"{MD5}-10001", f"{MD5}-99999", MD5 + "\n", OTHER_MD5),
    *("sample.raw", "/out", "/out/PRID001", "/out/PRID001/sample.raw", "/out/PRID001/../../etc", "sha256:" + "0" * 64),
)
_NUMBERS = (-1, 0, 1, 5, 2**31, 2**53 + 1, 2**63 - 1, 2**64, 10**30, -(10**30), 0.5, 5.0)
# What the schema lets pass, or nearly, and only the rules refuse.
_PATHS = tuple(text for text in _TEXTS if 0 < len(text) < 1000)
_BREACHES: Mapping[str, tuple[object, ...]] = {
    "relative_path": _PATHS,
    "expected_etag": (MD5, OTHER_MD5, *(f"{MD5}-{parts}" for parts in (1, 2, 3, 9999, 10_000, 10_001, 99_999))),
    "expected_size": (0, 1, 5 * 2**20, 5 * 2**20 + 1, 5 * 2**30 + 1, 2**53, None),
    "chunk_size_mb": (1, 5, 500, 10**6),
    "destination_base": ("/", "/etc", "/output", "/out/PRID001/..", "/out/.kraken-plan", "/out//x", "/out/a\nb", None),
    "output_location": ("/", "/out/PRID001", "/out/..", "out", "/out/"),
    "bucket_name": ("..", "a/b", "a b", "ä", "x" * 300, None),
}
_VALUES: tuple[object, ...] = (*_TEXTS, *_NUMBERS, *_LITERALS, None, True, False, [], {}, [[]], {"a": {}}, ["x"])


def mutated_plans(seed: str) -> Iterator[bytes]:
    """Yield plan files without end, each one a valid plan with one to three faults; mostly no plan any more."""
    chance = random.Random(seed)  # noqa: S311  # to be repeatable is the point
    while True:
        content = chance.choice([_spoiled_json, _spoiled_json, _spoiled_json, _spoiled_text])(chance)
        yield _spoiled_bytes(chance, content) if chance.random() < 0.2 else content


def _valid_document(chance: random.Random) -> JsonObject:
    if chance.random() < 0.3:
        example: JsonObject = json.loads(EXAMPLE.read_bytes())
        if chance.random() < 0.8:
            del example["plan_digest"]
        return example
    files = [planned_file(f"s.d/ä{number}/x", f"{MD5}-2", 6_000_000) for number in range(chance.randrange(4))]
    return plan_document(planned_raw_file("a.raw"), planned_raw_file("s.d", *files, project_id="PRID002"))


def _spoiled_json(chance: random.Random) -> bytes:
    document = _valid_document(chance)
    for _ in range(chance.randint(1, 3)):
        places = list(_containers(document))
        if not places:
            break
        chance.choice([_breach, _breach, _breach, _replace, _drop, _add, _copy, _twice])(chance, chance.choice(places))
    if chance.random() < 0.7:
        _let_destinations_follow(document)
    text = json.dumps(document, ensure_ascii=chance.random() < 0.5 or _has_surrogate(document))
    for name, literal in _LITERALS.items():
        text = text.replace(f'"{name}"', literal)
    return text.replace("@twice@", "").encode()


def _let_destinations_follow(document: JsonObject) -> None:
    """A path that was spoiled is not given away by its twin."""
    for place in _containers(document):
        files = place.get("files") if isinstance(place, dict) else None
        for file in files if isinstance(files, list) else ():
            if isinstance(file, dict) and "absolute_dest_path" in file and isinstance(place, dict):
                file["absolute_dest_path"] = f"{place.get('destination_base')}/{file.get('relative_path')}"


def _has_surrogate(document: JsonObject) -> bool:
    return "\\ud8" in json.dumps(document)


def _containers(value: object) -> Iterator[JsonObject | list[object]]:
    """Every object and array that has something in it."""
    if isinstance(value, dict | list) and value:
        yield value
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _containers(inner)


def _some_key(chance: random.Random, place: JsonObject | list[object]) -> str | int:
    return chance.choice(list(place)) if isinstance(place, dict) else chance.randrange(len(place))


def _replace(chance: random.Random, place: JsonObject | list[object]) -> None:
    key = _some_key(chance, place)
    value: object = place[key]  # type: ignore[index]  # a key of the place
    alike = [other for other in _VALUES if type(other) is type(value) and str(other) not in _LITERALS]
    place[key] = deepcopy(chance.choice(alike if alike and chance.random() < 0.7 else _VALUES))  # type: ignore[index]  # as above


def _breach(chance: random.Random, place: JsonObject | list[object]) -> None:
    governed = [key for key in place if key in _BREACHES] if isinstance(place, dict) else []
    if governed and isinstance(place, dict):
        key = chance.choice(governed)
        place[key] = chance.choice(_BREACHES[key])
    else:
        _copy(chance, place)


def _drop(chance: random.Random, place: JsonObject | list[object]) -> None:
    del place[_some_key(chance, place)]  # type: ignore[arg-type]  # as above


def _add(chance: random.Random, place: JsonObject | list[object]) -> None:
    if isinstance(place, dict):
        place[chance.choice(["version_id", "expected_md5", "error", "skipped", "x", *_TEXTS])] = deepcopy(
            chance.choice(_VALUES)
        )
    else:
        place.append(deepcopy(chance.choice(_VALUES)))


def _copy(chance: random.Random, place: JsonObject | list[object]) -> None:
    """Put a value from elsewhere in the same container: two files alike, a path where an etag belongs."""
    value: object = deepcopy(place[_some_key(chance, place)])  # type: ignore[index]  # as above
    if isinstance(place, list):
        place.append(value)
    else:
        place[chance.choice([*place, "copy"])] = value


def _twice(chance: random.Random, place: JsonObject | list[object]) -> None:
    """Let a key stand twice: the marker goes when the text is made."""
    if isinstance(place, dict):
        key = chance.choice(list(place))
        place[f"@twice@{key}"] = place[key]


def _spoiled_text(chance: random.Random) -> bytes:
    text = json.dumps(_valid_document(chance), indent=2)
    match chance.randrange(9):
        case 0:
            return text.encode(chance.choice(["utf-8-sig", "utf-16", "utf-32-le"]))
        case 1:
            return text.replace("PRID", "ä").encode("latin-1")
        case 2:
            text += text
        case 3:
            text += chance.choice(_TEXTS)
        case 4 | 5:
            text = text[: chance.randrange(len(text))]
        case 6 | 7:
            text = text.replace(chance.choice('":,{}[]'), chance.choice("\0\"':,{}[]\\ "), chance.randint(1, 3))
        case _:
            text = text.replace(chance.choice(text.split()), chance.choice(list(_LITERALS.values())), 1)
    return text.encode(errors="backslashreplace")


def _spoiled_bytes(chance: random.Random, content: bytes) -> bytes:
    spoiled = bytearray(content[:200_000])
    for _ in range(chance.randint(1, 8)):
        place = chance.randrange(len(spoiled) + 1)
        match chance.randrange(4):
            case 0:
                spoiled[place : place + 1] = bytes([chance.randrange(256)])
            case 1:
                del spoiled[place : place + chance.choice([1, 2, 100])]
            case 2:
                spoiled[place:place] = spoiled[: chance.randrange(200)]
            case _:
                del spoiled[max(place, len(spoiled) // 2) :]
    return bytes(spoiled)
