"""The command line and all that people read: commands, options, console, and in `views` texts, tables and pages.

Importing this package loads nothing. It makes sure that `planner`, `applier` and `schemas` are those installed beside
it: the names are common, and `PYTHONPATH` or the current folder may hold others.
"""

import gc
import os.path
import sys
from importlib.machinery import ModuleSpec, PathFinder

TYPE_CHECKING = False  # typing would be loaded before `main` can bear an interruption
if TYPE_CHECKING:
    from typing import NoReturn

__all__ = ["main"]

_HOME = os.path.dirname(os.path.dirname(__file__))  # noqa: PTH120  # pathlib takes time to load
_OWN_PACKAGES = frozenset({"planner", "applier", "schemas"})
_EXIT_UNUSABLE = 2
_EXIT_INTERRUPTED = 130


class _OwnPackagesFirst:
    """Finds our top-level packages beside this one, before anything else is asked."""

    @staticmethod
    def find_spec(name: str, _path: object = None, _target: object = None) -> ModuleSpec | None:
        """Return where one of our packages is; None leaves all others to Python's own finders."""
        return PathFinder.find_spec(name, [_HOME]) if name in _OWN_PACKAGES else None


sys.meta_path.insert(0, _OwnPackagesFirst)


def main() -> "NoReturn":
    """Run the command line and exit."""
    gc.disable()  # until a command is loaded: collecting while modules load takes time and finds nothing
    for name in _OWN_PACKAGES & sys.modules.keys():  # loaded before us, by a sitecustomize or a .pth file
        found = [str(path) for path in getattr(sys.modules[name], "__path__", [])]
        if os.path.join(_HOME, name) not in found:  # noqa: PTH118  # likewise
            _refuse(f"another {name} is loaded already, from {', '.join(found) or 'a file'}")
    try:
        from kraken_plan.entry_point import run_and_exit  # noqa: PLC0415  # what it imports may be in somebody's way

        run_and_exit()
    except ImportError as error:
        _refuse(f"{error}{f' (found {error.path})' if error.path else ''}")
    except KeyboardInterrupt:  # while the program is loaded, which may take seconds from a cold disk
        sys.exit(_EXIT_INTERRUPTED)


def _refuse(reason: str) -> "NoReturn":
    if sys.stderr is not None:
        sys.stderr.write(
            f"kraken-plan: error: cannot start: {ascii(reason)[1:-1]}. Is something else of this name in the way? "
            "Check PYTHONPATH and the current folder, or install kraken-plan into its own environment\n"
        )
    sys.exit(_EXIT_UNUSABLE)
