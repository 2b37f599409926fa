"""Runs the command line and turns however it ends into words and an exit code. Holds the last net."""

import sys
import threading
from types import TracebackType
from typing import NoReturn

import click

from kraken_plan.command_group import EXIT_READER_GONE, PROGRAM, cli
from kraken_plan.console import flush_stdout, leave, prepare_streams, say_error, say_refused_usage, write_line
from kraken_plan.log_format import described_error
from kraken_plan.logs import log_to_stderr, log_traceback
from kraken_plan.signals import survive_status_requests
from schemas.errors import KrakenPlanError
from schemas.version import REPORT_BUGS_TO

EXIT_REFUSED = 2
EXIT_BUG = 70  # EX_SOFTWARE of sysexits.h
EXIT_INTERRUPTED = 130


def run_and_exit() -> NoReturn:
    """Run the command that the command line names, and exit."""
    prepare_streams()
    log_to_stderr(write_line)
    survive_status_requests()
    threading.excepthook = _thread_died
    sys.unraisablehook = _cleanup_failed
    try:
        exit_code = _run()
    except KeyboardInterrupt:  # a second one, while the first one was dealt with
        exit_code = EXIT_INTERRUPTED
    except BaseException as error:  # noqa: BLE001  # the last net: a panic of a library in Rust is not an Exception
        exit_code = _confess(error)
    leave(exit_code)


def _run() -> int:
    """Run the command, and return its exit code; say what was refused, and what could not be printed."""
    exit_code = 0
    try:
        exit_code = _run_command()
        flush_stdout()
    except KrakenPlanError as error:
        say_error(f"error: {error}")
        exit_code = EXIT_REFUSED
    except click.ClickException as error:
        say_refused_usage(error.show, error.format_message())
        exit_code = error.exit_code
    except BrokenPipeError:  # the reader of stdout has seen enough
        exit_code = exit_code or EXIT_READER_GONE
    except OSError as error:
        say_error(f"error: {error.filename or 'stdout'}: {error.strerror or described_error(error)}")
        log_traceback(error)
        exit_code = exit_code or EXIT_REFUSED
    except (click.Abort, KeyboardInterrupt) as interruption:
        if isinstance(interruption.__cause__, EOFError):  # click takes each of them for a user who ends his input
            raise interruption.__cause__ from None
        exit_code = EXIT_INTERRUPTED
    return exit_code


def _run_command() -> int:
    """Run the command and return its exit code; most commands exit by SystemExit."""
    try:
        exit_code = cli.main(prog_name=PROGRAM, standalone_mode=False)
    except SystemExit as command_ended:
        exit_code = command_ended.code
    return exit_code if isinstance(exit_code, int) else 0


def _confess(error: BaseException) -> int:
    """Say in one line what nobody has foreseen; what was interrupted by it, the next run resumes."""
    match error:
        case MemoryError():
            say_error("out of memory: split the plan (kraken-plan split), or give apply fewer --jobs")
        case RecursionError():
            say_error("out of memory: something is nested too deeply to be read")
        case ImportError():
            say_error(
                f"error: {described_error(error)}{f' (found {error.path})' if error.path else ''}. Is something else "
                "of this name in the way? Check PYTHONPATH and the current folder"
            )
        case EOFError() | ValueError() if "marshal data" in str(error):  # Python's words for a .pyc file that was cut
            say_error(
                f"error: the installation is damaged ({described_error(error)}), perhaps by a disk that was full. "
                "Remove its folders __pycache__, or install kraken-plan again"
            )
        case _:
            say_error(
                f"{_bug(error, error.__traceback__)}. Please report it to {REPORT_BUGS_TO}, with what --debug shows"
            )
    log_traceback(error)
    return EXIT_BUG


def _bug(error: BaseException, traceback: TracebackType | None) -> str:
    """Return what happened, and in which line of the program, however deep in a library it came up."""
    place = ""
    while traceback is not None:
        module = str(traceback.tb_frame.f_globals.get("__name__", ""))
        if module.partition(".")[0] in {"kraken_plan", "planner", "applier", "schemas"}:
            place = f" in {module}, line {traceback.tb_lineno}"
        traceback = traceback.tb_next
    return f"this is a bug: {described_error(error)}{place}"


def _thread_died(died: threading.ExceptHookArgs) -> None:
    """Say that a thread has ended by something unforeseen; the others go on."""
    if died.exc_value is None or isinstance(died.exc_value, SystemExit):
        return
    name = "a thread" if died.thread is None else f"thread {died.thread.name}"
    say_error(f"{_bug(died.exc_value, died.exc_traceback)} ({name}). Please report it to {REPORT_BUGS_TO}")
    log_traceback(died.exc_value)


def _cleanup_failed(failed: "sys.UnraisableHookArgs") -> None:
    """Say nothing, unless asked to, of what went wrong while an object was thrown away."""
    if failed.exc_value is not None:
        log_traceback(failed.exc_value)
