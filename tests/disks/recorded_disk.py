"""Writes down, in order, what the applier does to the file system below one folder: from the real calls of a real run.

The calls are made as they are; each is seen as changes to numbered nodes (files and folders), whatever their names.
"""

import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from applier.disk import rename

ROOT = 0
_ELSEWHERE = -1  # what lies outside: seen, and not written down
_SEEN = (
    "open", "dup", "close", "mkdir", "rmdir", "unlink", "rename", "link",
    "write", "pwrite", "copy_file_range", "ftruncate", "posix_fallocate", "fsync",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class New:
    """A new node, empty, without a name."""

    node: int
    is_folder: bool


@dataclass(frozen=True, slots=True)
class Entries:
    """Names in a folder that come to stand for other nodes, or for none: all at once."""

    folder: int
    names: tuple[tuple[str, int | None], ...]


@dataclass(frozen=True, slots=True)
class Write:
    """Bytes written to a file."""

    file: int
    offset: int
    content: bytes


@dataclass(frozen=True, slots=True)
class Resize:
    """A file cut, or extended by zeros."""

    file: int
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Sync:
    """An fsync of a file or folder."""

    node: int


Change = New | Entries | Write | Resize | Sync


@dataclass(frozen=True, slots=True)
class Tree:
    """What is on a disk: the entries of folders and the content of files, by node."""

    folders: dict[int, dict[str, int]]
    files: dict[int, bytes]

    @classmethod
    def read(cls, path: Path) -> "Tree":
        """Read what is below a folder; hard links are not told from copies."""
        tree = cls({}, {})
        tree._read(path, ROOT)
        return tree

    def _read(self, path: Path, node: int) -> None:
        entries = self.folders.setdefault(node, {})
        for below in sorted(path.iterdir()):
            entries[below.name] = number = len(self.folders) + len(self.files)
            if below.is_dir():
                self._read(below, number)
            else:
                self.files[number] = below.read_bytes()

    def paths(self, folder: int = ROOT, prefix: str = "") -> dict[str, bytes | None]:
        """Everything below a folder by its path, folders as None."""
        found: dict[str, bytes | None] = {}
        for name, node in self.folders[folder].items():
            found[prefix + name] = self.files.get(node)
            if node in self.folders:
                found |= self.paths(node, f"{prefix}{name}/")
        return found

    def write(self, path: Path) -> None:
        """Make what is in the tree below an empty folder."""
        for name, content in self.paths().items():
            if content is None:
                (path / name).mkdir()
            else:
                (path / name).write_bytes(content)


class RecordedDisk:
    """The calls of the applier's modules on what is below `root`, as changes.

    Attributes:
        before: What was there at first.
        calls: The changes of each call, in order.
    """

    def __init__(self, root: Path) -> None:
        self.before = Tree.read(root)
        self.calls: list[tuple[Change, ...]] = []
        self._root = root
        self._nodes = len(self.before.folders) + len(self.before.files)
        self._names = {folder: dict(entries) for folder, entries in self.before.folders.items()}
        self._sizes = {file: len(content) for file, content in self.before.files.items()}
        self._open: dict[int, int] = {}
        self._lock = threading.Lock()

    @contextmanager
    def recording(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
        """Write down what is called within a block."""
        with monkeypatch.context() as patched:
            for name in _SEEN:
                patched.setattr(os, name, self._seen(getattr(os, name), getattr(self, f"_on_{name}")))
            patched.setattr(rename, "renameat2", self._seen(rename.renameat2, self._on_rename))
            yield

    def _seen(self, real: Callable[..., int | None], note: Callable[..., None]) -> Callable[..., object]:
        def call(*arguments: object, **keywords: object) -> object:
            if not str(sys._getframe(1).f_globals["__name__"]).startswith("applier."):  # noqa: SLF001  # who calls
                return real(*arguments, **keywords)
            with self._lock:  # in the order in which they happen
                result = real(*arguments, **keywords)
                note(result, *arguments, **keywords)
                return result

        return call

    def _new(self, folder: int, name: str, *, is_folder: bool) -> int:
        node = self._nodes
        self._nodes += 1
        self._change_names((folder, name, node), first=(New(node, is_folder),))
        return node

    def _change_names(self, *changes: tuple[int, str, int | None], first: tuple[Change, ...] = ()) -> None:
        folders = dict.fromkeys(folder for folder, _, _ in changes)
        for folder, name, node in changes:
            self._names[folder].pop(name, None)
            if node is not None:
                self._names[folder][name] = node
        entries = [Entries(folder, tuple((n, node) for of, n, node in changes if of == folder)) for folder in folders]
        self.calls.append((*first, *entries))

    def _on_open(self, descriptor: int, path: str, flags: int, _mode: int = 0, *, dir_fd: int | None = None) -> None:
        if dir_fd is None:
            self._open[descriptor] = ROOT if Path(path) == self._root else _ELSEWHERE
            return
        folder = self._open[dir_fd]
        if path == ".":
            self._open[descriptor] = folder
            return
        if flags & os.O_CREAT and path not in self._names[folder]:
            self._sizes[self._new(folder, path, is_folder=False)] = 0
        self._open[descriptor] = self._names[folder][path]

    def _on_dup(self, descriptor: int, of: int) -> None:
        self._open[descriptor] = self._open[of]

    def _on_close(self, _: None, descriptor: int) -> None:
        self._open.pop(descriptor, None)

    def _on_mkdir(self, _: None, name: str, _mode: int = 0o777, *, dir_fd: int) -> None:
        self._names[self._new(self._open[dir_fd], name, is_folder=True)] = {}

    def _on_unlink(self, _: None, name: str, *, dir_fd: int) -> None:
        self._change_names((self._open[dir_fd], name, None))

    _on_rmdir = _on_unlink

    def _on_rename(self, _: None, source: str, name: str, *, src_dir_fd: int, dst_dir_fd: int) -> None:
        node = self._names[self._open[src_dir_fd]][source]
        self._change_names((self._open[src_dir_fd], source, None), (self._open[dst_dir_fd], name, node))

    def _on_link(
        self, _: None, source: str, name: str, *, src_dir_fd: int, dst_dir_fd: int, follow_symlinks: bool
    ) -> None:
        del follow_symlinks
        self._change_names((self._open[dst_dir_fd], name, self._names[self._open[src_dir_fd]][source]))

    def _written(self, descriptor: int, content: bytes, offset: int) -> None:
        file = self._open[descriptor]
        if file == _ELSEWHERE:
            return
        self._sizes[file] = max(self._sizes[file], offset + len(content))
        self.calls.append((Write(file, offset, content),))

    def _on_pwrite(self, count: int, descriptor: int, content: memoryview, offset: int) -> None:
        self._written(descriptor, bytes(content[:count]), offset)

    def _on_write(self, count: int, descriptor: int, content: bytes) -> None:
        self._written(descriptor, content[:count], self._sizes[self._open[descriptor]])

    def _on_copy_file_range(self, count: int, _: int, to: int, _count: int, _from: int, offset: int) -> None:
        self._written(to, os.pread(to, count, offset), offset)

    def _on_ftruncate(self, _: None, descriptor: int, size_bytes: int) -> None:
        if self._open[descriptor] == _ELSEWHERE:
            return
        self._sizes[self._open[descriptor]] = size_bytes
        self.calls.append((Resize(self._open[descriptor], size_bytes),))

    def _on_posix_fallocate(self, _: None, descriptor: int, offset: int, count: int) -> None:
        self._on_ftruncate(None, descriptor, max(self._sizes[self._open[descriptor]], offset + count))

    def _on_fsync(self, _: None, descriptor: int) -> None:
        if self._open[descriptor] == _ELSEWHERE:
            return
        self.calls.append((Sync(self._open[descriptor]),))
