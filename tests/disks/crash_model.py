"""What may be left of a recorded run after a power loss: only what was synced is sure, the rest may be there or not.

Entries of one folder reach the disk in their order, as in every file system with a journal; those of different folders,
and the writes to a file, in any. No file system loses more than that, most lose less.
"""

import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from recorded_disk import Change, Entries, New, Resize, Sync, Tree, Write

FileChange = Write | Resize


@dataclass(frozen=True, slots=True, kw_only=True)
class Loss:
    """Which of the changes that were not synced outlast a power loss.

    Attributes:
        entries: Of a folder's, how many of the first.
        writes: Of a file's, which.
    """

    name: str
    entries: Callable[[Sequence[Entries]], int]
    writes: Callable[[Sequence[FileChange]], Iterable[FileChange]]


def _none(_: Sequence[FileChange]) -> Iterable[FileChange]:
    return ()


def _sizes(writes: Sequence[FileChange]) -> Iterable[FileChange]:
    """The file has its size, and zeros where the bytes should be."""
    return [Write(w.file, w.offset, bytes(len(w.content))) if isinstance(w, Write) else w for w in writes]


CERTAIN_LOSSES = (
    Loss(name="nothing unsynced is left", entries=lambda _: 0, writes=_none),
    Loss(name="everything is left", entries=len, writes=list),
    Loss(name="names are left, data is not", entries=len, writes=_none),
    Loss(name="names and sizes are left, data is zeros", entries=len, writes=_sizes),
    Loss(name="data is left, names are not", entries=lambda _: 0, writes=list),
)


def random_losses(seed: int, count: int) -> Iterator[Loss]:
    """Losses that differ from node to node."""
    for number in range(count):
        random_ = random.Random(f"{seed} {number}")  # noqa: S311  # to be repeatable is the point

        def entries(changes: Sequence[Entries], random_: random.Random = random_) -> int:
            return random_.randint(0, len(changes))

        def writes(changes: Sequence[FileChange], random_: random.Random = random_) -> Iterable[FileChange]:
            return [change for change in changes if random_.random() < 0.5]

        yield Loss(name=f"random loss {number} of seed {seed}", entries=entries, writes=writes)


class Disk:
    """A disk during a recorded run: what is certain, and what is on its way.

    Args:
        before: What was there, and certain, before the run.
    """

    def __init__(self, before: Tree) -> None:
        self._folders = {folder: dict(entries) for folder, entries in before.folders.items()}
        self._files = dict(before.files)
        self._entries: dict[int, list[Entries]] = {}
        self._writes: dict[int, list[FileChange]] = {}

    def happens(self, change: Change) -> None:
        """Let one more change happen."""
        match change:
            case New(node, is_folder):
                if is_folder:
                    self._folders[node] = {}
                else:
                    self._files[node] = b""
            case Entries():
                self._entries.setdefault(change.folder, []).append(change)
            case Write() | Resize():
                self._writes.setdefault(change.file, []).append(change)
            case Sync(node):
                for entries in self._entries.pop(node, ()):
                    _change_entries(self._folders[node], entries)
                if node in self._writes:
                    self._files[node] = _changed(self._files[node], self._writes.pop(node))

    def after(self, loss: Loss) -> Tree:
        """What is found after a power loss at this moment."""
        folders = {folder: dict(entries) for folder, entries in self._folders.items()}
        for folder, changes in self._entries.items():
            for change in changes[: loss.entries(changes)]:
                _change_entries(folders[folder], change)
        files = dict(self._files)
        for file, writes in self._writes.items():
            files[file] = _changed(files[file], loss.writes(writes))
        return Tree(folders, files)


def _change_entries(entries: dict[str, int], change: Entries) -> None:
    for name, node in change.names:
        entries.pop(name, None)
        if node is not None:
            entries[name] = node


def _changed(content: bytes, writes: Iterable[FileChange]) -> bytes:
    changed = bytearray(content)
    for write in writes:
        end = write.size_bytes if isinstance(write, Resize) else write.offset + len(write.content)
        changed += bytes(max(0, end - len(changed)))
        if isinstance(write, Resize):
            del changed[end:]
        else:
            changed[write.offset : end] = write.content
    return bytes(changed)
