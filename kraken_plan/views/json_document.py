"""What programs read of a plan: one JSON document with a long list in it, written as it comes."""

import json
from collections.abc import Iterable, Iterator, Mapping


def document_with_list(head: Mapping[str, object], name: str, entries: Iterable[object]) -> Iterator[str]:
    """Yield a JSON document: what is in the head, then a list of this name, each of its entries on a line of its own.

    All but ASCII is escaped: it is exact, and cannot steer a terminal.

    >>> print("".join(document_with_list({"a": 1}, "b", [{"c": 2}, {"c": 3}])), end="")
    {
      "a": 1,
      "b": [
        {"c": 2},
        {"c": 3}
      ]
    }
    """
    yield json.dumps(head, indent=2).removesuffix("\n}")
    yield f',\n  "{name}": ['
    before, end = "\n    ", "]\n}\n"
    for entry in entries:
        yield before + json.dumps(entry)
        before, end = ",\n    ", "\n  ]\n}\n"
    yield end
