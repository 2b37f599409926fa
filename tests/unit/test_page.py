"""The document of a page, without a browser: made alike each time, and nothing outside of it needed."""

import base64
import gzip
import hashlib
import json
import re
from html.parser import HTMLParser
from importlib import resources

import pytest
from plan_samples import make_plan, planned_file, planned_raw_file

from kraken_plan.views.pages.page import BigTable, Group, Page, Row, State, render_page
from kraken_plan.views.pages.plan_page import plan_page
from kraken_plan.views.table import Tone, Toned

CHANGED = State(words=Toned("changed", Tone.NOTABLE), mark="!")
SAME = State(words=Toned("same", Tone.GOOD), mark="=", weighs=False)


def table_of(*groups: Group) -> BigTable:
    return BigTable(title="Files", states=(CHANGED, SAME), groups=iter(groups), size_words="to fetch")


def packed_in(document: bytes) -> bytes:
    (packed,) = re.findall(rb'<script id="data" [^>]*>([A-Za-z0-9+/=]*)</script>', document)
    return base64.b64decode(packed)


def data_in(document: bytes) -> dict[str, object]:
    data: dict[str, object] = json.loads(gzip.decompress(packed_in(document)))
    return data


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))


def tags_in(document: bytes) -> list[tuple[str, dict[str, str | None]]]:
    parser = _Tags()
    parser.feed(document.decode())
    return parser.seen


def test_the_same_plan_should_give_the_same_page_whenever_it_is_made() -> None:
    document = render_page(plan_page(make_plan(), "plan.json"))
    assert document == render_page(plan_page(make_plan(), "plan.json"))
    assert packed_in(document)[4:8] == bytes(4)  # where gzip would put the time


def test_a_table_should_be_packed_a_list_per_column() -> None:
    groups = [
        Group(
            head=Row(name="a", state=CHANGED, size_bytes=5),
            label="P1",
            rows=[Row(name="a/1", state=SAME, size_bytes=2, detail="d"), Row(name="a/2", state=CHANGED, note="n")],
        ),
        Group(head=Row(name="b", state=SAME), label="P1", rows=[]),
    ]
    data = data_in(render_page(Page(title="t", subtitle="s", table=table_of(*groups))))
    assert data["states"] == [
        {"text": "changed", "tone": "tone-notable", "mark": "!", "weighs": True},
        {"text": "same", "tone": "tone-good", "mark": "=", "weighs": False},
    ]
    assert data["labels"] == ["P1"]
    assert data["sizeWords"] == "to fetch"
    assert data["groups"] == {
        "name": ["a", "b"],
        "state": [0, 1],
        "detail": ["", ""],
        "note": ["", ""],
        "size": [5, None],
        "label": [0, 0],
        "count": [2, 0],
    }
    assert data["rows"] == {
        "name": ["a/1", "a/2"],
        "state": [1, 0],
        "detail": ["d", ""],
        "note": ["", "n"],
        "size": [2, None],
    }


def test_a_page_without_a_table_should_have_no_script_at_all() -> None:
    assert "script" not in {tag for tag, _ in tags_in(render_page(Page(title="t", subtitle="s")))}


def test_the_policy_should_allow_our_own_script_and_style_and_nothing_else() -> None:
    document = render_page(plan_page(make_plan(), "plan.json"))
    policy = next(attributes["content"] for tag, attributes in tags_in(document) if "http-equiv" in attributes)
    hashes = {
        kind: base64.b64encode(hashlib.sha256(content).digest()).decode()
        for kind, content in (
            ("script", re.findall(rb"<script>(.*?)</script>", document, re.DOTALL)[0]),
            ("style", re.findall(rb"<style>(.*?)</style>", document, re.DOTALL)[0]),
        )
    }
    assert policy == (
        f"default-src 'none'; script-src 'sha256-{hashes['script']}'; style-src 'sha256-{hashes['style']}'; "
        "base-uri 'none'; form-action 'none'"
    )


def test_a_page_should_name_nothing_outside_of_it() -> None:
    document = render_page(plan_page(make_plan(), "plan.json"))
    attributes = [name for _, found in tags_in(document) for name in found]
    assert {"src", "href", "style", "onclick", "onload"}.isdisjoint(attributes)
    assert b"url(" not in document
    assert b"@import" not in document
    assert b"http://" not in document
    assert b"https://" not in document


@pytest.mark.parametrize(("name", "end"), [("page.js", "</script"), ("page.js", "<!--"), ("page.css", "</style")])
def test_our_own_parts_should_not_end_what_they_stand_in(name: str, end: str) -> None:
    assert end not in resources.files("kraken_plan.views.pages").joinpath(name).read_text(encoding="utf-8").lower()


@pytest.mark.parametrize("text", ["</title><script>x()</script>", "<!--", "\"'><img src=x>", "&lt;", "{{ 7 * 7 }}"])
def test_texts_should_be_escaped_wherever_they_stand(text: str) -> None:
    plan = make_plan(planned_raw_file(text, planned_file(text), project_id=text))
    harmless = make_plan(planned_raw_file("x", planned_file("x"), project_id="x"))
    hostile_tags = tags_in(render_page(plan_page(plan, text)))
    assert [tag for tag, _ in hostile_tags] == [tag for tag, _ in tags_in(render_page(plan_page(harmless, "x")))]
