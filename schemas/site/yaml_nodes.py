"""Reads YAML as nodes: no value is constructed, so none that is not asked for can do any harm. The only yaml import."""

from collections import deque
from collections.abc import Iterator
from typing import TypeAlias

import yaml

from schemas.errors import ConfigError
from schemas.site.settings import Plain
from schemas.text import printable, writable

Node: TypeAlias = yaml.Node
Mapping: TypeAlias = yaml.MappingNode

_TAG = "tag:yaml.org,2002:"
_MOST_VALUES = 1000  # in what is taken as a whole; aliases can multiply


def parse_yaml(content: bytes, name: str) -> Mapping:
    """Return the top of a YAML, which has to be a mapping.

    Args:
        content: of the file.
        name: of the file, for messages.

    Raises:
        ConfigError: it is something else.
    """
    try:
        settings = yaml.compose(content, yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f" in line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise ConfigError(f"{name} is not YAML: {printable(error.problem or 'unreadable')}{where}") from None
    except (yaml.YAMLError, ValueError, OverflowError) as error:  # a wrong encoding or escape
        raise ConfigError(f"{name} is not YAML: {printable(str(error), 200)}") from None
    except RecursionError:
        raise ConfigError(f"{name}: nested too deeply") from None
    if not isinstance(settings, yaml.MappingNode):
        raise ConfigError(f"{name}: expected a mapping at the top, found {_describe(settings)}")
    return settings


def plain_value(value: yaml.Node | None, place: str) -> Plain:
    """Return what a node holds, with every scalar as the text that stands there.

    Args:
        value: None for nothing.
        place: where it stands, for messages.

    Raises:
        ConfigError: it is nested too deeply, or has too many values, or keys that are something else than text.
    """
    try:
        return None if value is None else _plain(value, place, iter(range(_MOST_VALUES)))
    except RecursionError:  # aliases can make a value part of itself
        raise ConfigError(f"{place}: nested too deeply") from None


def unread_keys(top: yaml.MappingNode, read: yaml.Node | None) -> Iterator[tuple[str, ...]]:
    """Yield the path of every key outside the node that is read, level by level.

    Args:
        top: of the YAML.
        read: what is read, and is not searched; None, if there is none.
    """
    searched = {id(read)}
    to_search = deque[tuple[tuple[str, ...], yaml.Node]]([((), top)])
    while to_search:
        path, node = to_search.popleft()
        if isinstance(node, yaml.SequenceNode) and id(node) not in searched:
            searched.add(id(node))
            to_search += [(path, value) for value in node.value]
        for key, value in _pairs(node, searched):
            if value is not read:
                yield (*path, key)
                to_search.append(((*path, key), value))


def _pairs(mapping: yaml.Node, searched: set[int]) -> Iterator[tuple[str, yaml.Node]]:
    """Yield the keys and values of a mapping and of those that are merged into it (`<<`), each mapping once."""
    to_search = [mapping] if isinstance(mapping, yaml.MappingNode) else []
    while to_search:
        node = to_search.pop()
        if id(node) not in searched and isinstance(node, yaml.MappingNode):
            searched.add(id(node))
            for key, value in node.value:
                if key.tag == f"{_TAG}merge":
                    to_search += value.value if isinstance(value, yaml.SequenceNode) else [value]
                elif isinstance(key, yaml.ScalarNode):
                    yield writable(str(key.value)), value


def _plain(value: yaml.Node, place: str, left: Iterator[int]) -> Plain:
    """Return what a node holds, scalars as the text that stands there; `left` runs out where there is too much."""
    _count(place, left)
    match value:
        case yaml.SequenceNode():
            return tuple(_plain(one, place, left) for one in value.value)
        case yaml.MappingNode():
            keys = dict.fromkeys(_keys(value, place, left))
            entries = {key: entry_of(value, key, f"{place}.{printable(key)}") for key in keys}
            return {key: _plain(found, f"{place}.{key}", left) for key, found in entries.items() if found is not None}
    return None if value.tag == f"{_TAG}null" else writable(str(value.value))


def _count(place: str, left: Iterator[int]) -> None:
    if next(left, None) is None:
        raise ConfigError(f"{place}: it has more than {_MOST_VALUES:,} keys and values")


def _keys(mapping: yaml.MappingNode, place: str, left: Iterator[int]) -> Iterator[str]:
    """Yield the keys of a mapping and of those that are merged into it (`<<`)."""
    for key, value in mapping.value:
        _count(place, left)
        if key.tag == f"{_TAG}merge":
            merged = value.value if isinstance(value, yaml.SequenceNode) else [value]
            yield from (key for one in merged if isinstance(one, yaml.MappingNode) for key in _keys(one, place, left))
        elif key.tag == f"{_TAG}str":
            yield writable(key.value)
        else:
            raise ConfigError(f"{place}: expected text as key, found {_describe(key)}")


def text_at(settings: yaml.MappingNode, dotted_path: str, name: str) -> str | None:
    """Return the text there; None if there is nothing."""
    value = value_at(settings, dotted_path, name)
    if value is None or value.value == "":
        return None
    if not isinstance(value, yaml.ScalarNode) or value.tag != f"{_TAG}str":
        raise ConfigError(f"{name}: {dotted_path}: expected text, found {_describe(value)}")
    return writable(value.value)


def value_at(settings: yaml.MappingNode, dotted_path: str, name: str) -> yaml.Node | None:
    """Return what stands there; None if it is nothing."""
    value: yaml.Node = settings
    passed: list[str] = []
    for key in dotted_path.split("."):
        if not isinstance(value, yaml.MappingNode):
            raise ConfigError(f"{name}: {'.'.join(passed)}: expected a mapping, found {_describe(value)}")
        passed.append(key)
        found = entry_of(value, key, f"{name}: {'.'.join(passed)}")
        if found is None or found.tag == f"{_TAG}null":
            return None
        value = found
    return value


def entry_of(mapping: yaml.MappingNode, key: str, place: str) -> yaml.Node | None:
    """Return the value of a key; where the mapping itself has none, that of a mapping that is merged into it (`<<`)."""
    to_search: list[yaml.Node] = [mapping]
    searched = set[int]()  # aliases can make a mapping part of itself
    while to_search:
        node = to_search.pop()
        if id(node) in searched:
            continue
        searched.add(id(node))
        if isinstance(node, yaml.SequenceNode):
            to_search += reversed(node.value)
        elif isinstance(node, yaml.MappingNode):
            found = [(at, value) for at, value in node.value if at.tag == f"{_TAG}str" and at.value == key]
            if len(found) > 1:
                lines = " and ".join(str(at.start_mark.line + 1) for at, _ in found[:2])
                raise ConfigError(f"{place} appears twice, in lines {lines}: which one counts? Remove the other")
            if found:
                value: yaml.Node = found[0][1]
                return value
            to_search += reversed([value for at, value in node.value if at.tag == f"{_TAG}merge"])
    return None


def _describe(value: yaml.Node | None) -> str:
    match value:
        case yaml.MappingNode():
            return "a mapping"
        case yaml.SequenceNode():
            return "a list"
        case yaml.ScalarNode(tag=tag, value=text) if tag == f"{_TAG}str":
            return f"the text {printable(text, 60)!r}"
        case yaml.ScalarNode(tag=tag, value=text) if tag != f"{_TAG}null":
            kind = printable(tag.removeprefix(_TAG), 60)
            return f"{printable(text, 60)} ({kind}; in quotes it would be text)"
    return "nothing"
