"""The front door: `kraken-plan COMMAND`. Loads each command only when it is called, and says what went wrong.

What commands do is in their own modules; here are the words and codes that all of them share.
"""

import gc
import importlib
import logging
import os
import sys
from contextlib import suppress
from dataclasses import dataclass
from typing import NoReturn, TextIO

import click

from schemas.errors import KrakenPlanError
from schemas.text import printable
from schemas.version import __version__

PROGRAM = "kraken-plan"
ENVIRONMENT_PREFIX = "KRAKEN_PLAN"
EXIT_REFUSED = 2
EXIT_INTERRUPTED = 130

_OUR_LOGGERS = ("kraken_plan", "planner", "applier", "schemas")
_VERBOSITY = "kraken_plan.verbosity"


@dataclass(frozen=True, slots=True)
class _Command:
    """Where a command is found."""

    module: str
    attribute: str
    help: str


COMMANDS = {
    "compile": _Command("kraken_plan.commands.compile", "compile_command", "Make a plan out of the catalog."),
    "find": _Command("kraken_plan.commands.find", "find_command", "List raw files of the catalog."),
    "show": _Command("kraken_plan.commands.show", "show_command", "Show what a plan restores, for its review."),
    "status": _Command("kraken_plan.commands.status", "status_command", "Say what apply would do, and change nothing."),
    "apply": _Command("kraken_plan.commands.apply", "apply_command", "Restore what a plan says, verified."),
    "diff": _Command("kraken_plan.commands.diff", "diff_command", "Say what differs between two plans."),
    "select": _Command("kraken_plan.commands.select", "select_command", "Make a smaller plan out of a plan."),
    "split": _Command("kraken_plan.commands.split", "split_command", "Make N plans of equal bytes out of one."),
    "report": _Command(
        "kraken_plan.commands.report", "report_command", "Make reports out of several applies' results."
    ),
    "validate": _Command("kraken_plan.commands.plan_file", "validate_command", "Check a plan file."),
    "seal": _Command(
        "kraken_plan.commands.plan_file", "seal_command", "Renew a plan's digest after an edit on purpose."
    ),
    "schema": _Command("kraken_plan.commands.plan_file", "schema_command", "Print the JSON Schema of the plan file."),
}


class _LazyGroup(click.Group):
    """Knows its commands by name and help, imports one when it is called, and gives each -v and -q."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  # click's signature
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002  # click's signature
        if cmd_name in COMMANDS and cmd_name not in self.commands:
            entry = COMMANDS[cmd_name]
            gc.disable()  # modules are no garbage, and looking for some among them over and over takes its time
            command: click.Command = getattr(importlib.import_module(entry.module), entry.attribute)
            gc.freeze()
            gc.enable()
            command.params += _verbosity_options()
            self.add_command(command, cmd_name)
        return self.commands.get(cmd_name)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002  # click's signature
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry.help) for name, entry in COMMANDS.items()])


def _verbosity_options() -> list[click.Parameter]:
    return [
        click.Option(
            ["-v", "--verbose"], count=True, expose_value=False, callback=_louder, help="Say more; twice: all."
        ),
        click.Option(["-q", "--quiet"], is_flag=True, expose_value=False, callback=_quiet, help="Say errors only."),
    ]


def _louder(ctx: click.Context, _parameter: click.Parameter, times: int) -> None:
    _adjust_log_level(ctx, -10 * times)


def _quiet(ctx: click.Context, _parameter: click.Parameter, quiet: bool) -> None:  # noqa: FBT001  # click's signature
    _adjust_log_level(ctx, 10 if quiet else 0)


def _adjust_log_level(ctx: click.Context, by: int) -> None:
    """Say more or less; on the group and behind the command add up."""
    level = ctx.find_root().meta.get(_VERBOSITY, logging.WARNING) + by
    ctx.find_root().meta[_VERBOSITY] = level
    logging.getLogger().setLevel(max(level, logging.WARNING))
    for name in _OUR_LOGGERS:
        logging.getLogger(name).setLevel(min(max(level, logging.DEBUG), logging.ERROR))


@click.group(
    cls=_LazyGroup,
    params=_verbosity_options(),
    context_settings={"help_option_names": ["-h", "--help"], "auto_envvar_prefix": ENVIRONMENT_PREFIX},
    epilog="""\b
Exit codes:
  0        all well
  1        done, but something is not well (it is named)
  2        refused or unusable, nothing touched
  130/143  interrupted (what was done is reported)

\b
Examples:
  kraken-plan compile 20250115_sample.d --config alphakraken.prod.yaml -o plan.json
  kraken-plan validate plan.json
  kraken-plan apply plan.json

Every option can be set by a variable KRAKEN_PLAN_COMMAND_OPTION, for example KRAKEN_PLAN_APPLY_JOBS=16. Results go to
stdout, words to stderr.
""",
)
@click.version_option(__version__, prog_name=PROGRAM, message="%(prog)s %(version)s")
def cli() -> None:
    """Restore raw files from their S3 backup, in two acts: compile a plan, review it, apply it.

    compile resolves everything out of the catalog into one plan file; apply looks up nothing and restores exactly what
    the plan says, verified byte for byte, as often as one likes.
    """


def main() -> NoReturn:
    """Run the command line and exit."""
    _open_standard_files()
    for stream in (sys.stdout, sys.stderr):
        _use_utf8(stream)
    _log_to_stderr()
    try:
        exit_code = cli.main(prog_name=PROGRAM, standalone_mode=False)
        _flush(sys.stdout)
    except KrakenPlanError as error:
        _say_error(str(error))
        exit_code = EXIT_REFUSED
    except click.ClickException as error:
        with suppress(OSError):
            error.show()
        exit_code = error.exit_code
    except BrokenPipeError:  # whoever read our stdout has enough
        exit_code = EXIT_REFUSED
    except OSError as error:
        _say_error(f"{error.filename or 'stdout'}: {error.strerror}")
        exit_code = EXIT_REFUSED
    except (click.Abort, KeyboardInterrupt):
        exit_code = EXIT_INTERRUPTED
    except SystemExit as command_ended:
        exit_code = command_ended.code
    _leave(exit_code if isinstance(exit_code, int) else 0)


def _open_standard_files() -> None:
    """Give closed standard files a place to go, or the next file that is opened would be taken for one of them."""
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)


def _flush(stream: TextIO | None) -> None:
    if stream is not None:
        stream.flush()


def _leave(exit_code: int) -> NoReturn:
    """Exit with this code at once.

    Python's own way out frees every object, which takes a tenth of a short run, and makes the code 120 where stdout or
    stderr cannot be flushed.
    """
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError):
            _flush(stream)
    os._exit(exit_code)


def _say_error(message: str) -> None:
    """Print an error; the lines it was built of stay, all else that could steer a terminal is escaped.

    Where stderr cannot be written, the exit code says it alone.
    """
    lines = [printable(line) for line in message.split("\n")]
    with suppress(OSError):
        click.echo("\n".join([f"{PROGRAM}: error: {lines[0]}", *lines[1:]]), err=True)


def _use_utf8(stream: TextIO) -> None:
    reconfigure = getattr(stream, "reconfigure", None)  # absent where the stream is closed or replaced
    if reconfigure is not None:
        reconfigure(encoding="utf-8", errors="backslashreplace")


class _OneLineFormatter(logging.Formatter):
    """Escapes what is not printable in the message; a traceback, which is ours, stays as it is."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802  # logging's name
        return printable(super().formatMessage(record))


def _log_to_stderr() -> None:
    logging.raiseExceptions = False  # a stderr that cannot be written must not stop anything
    handler = logging.StreamHandler()
    handler.setFormatter(_OneLineFormatter("%(levelname)s %(name)s: %(message)s"))
    logging.getLogger().addHandler(handler)
