"""The group of commands: knows them by name, loads one when it is called, and holds what all of them share.

Loads nothing but click and what errors need, so that `--help` answers at once.
"""

import gc
import importlib
import os
from types import ModuleType
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from kraken_plan.logs import logging_options
from kraken_plan.options.completion import offer_commands, offer_paths
from kraken_plan.options.option_types import take_text_strictly
from kraken_plan.variables import PREFIX, name_the_variable, warn_of_unread_variables
from schemas.errors import WrongSystemError
from schemas.text import explain_unknown
from schemas.version import __version__

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

PROGRAM = "kraken-plan"
EXIT_READER_GONE = 141  # 128 + SIGPIPE, as shells show it


class _Command(NamedTuple):
    """Where a command is found."""

    module: str
    attribute: str
    help: str


def _command(module: str, attribute: str, words: str) -> _Command:
    return _Command(f"kraken_plan.commands.{module}", attribute, words)


COMMANDS = {
    "compile": _command("compile", "compile_command", "Make a plan from the catalog."),
    "find": _command("find", "find_command", "List raw files of the catalog."),
    "show": _command("show", "show_command", "Show what a plan restores, for review."),
    "approve": _command("approve", "approve_command", "Approve a plan: sign its digest with your SSH key."),
    "approvals": _command("approvals", "approvals_command", "Show and check who has approved a plan."),
    "status": _command("status", "status_command", "Show what apply would do, and change nothing."),
    "apply": _command("apply", "apply_command", "Restore what a plan says, and verify it."),
    "verify": _command("verify", "verify_command", "Verify local files against a plan, without S3."),
    "restore": _command("restore", "restore_command", "Compile, show, ask and apply in one step."),
    "thaw": _command("thaw", "thaw_command", "Ask S3 to restore what it has archived."),
    "diff": _command("diff", "diff_command", "Show what differs between two plans."),
    "select": _command("select", "select_command", "Make a smaller plan from a plan."),
    "split": _command("split", "split_command", "Split a plan into N plans of equal size."),
    "report": _command("report", "report_command", "Write one set of reports for several applies."),
    "doctor": _command("doctor", "doctor_command", "Check that all that a restore needs is there."),
    "validate": _command("plan_file", "validate_command", "Check a plan file."),
    "seal": _command("plan_file", "seal_command", "Renew a plan's digest after a deliberate edit."),
    "schema": _command("plan_file", "schema_command", "Print the JSON Schema of the plan file."),
    "completion": _command("completion", "completion_command", "Print the completion script of a shell."),
    "help": _command("help", "help_command", "Show the help of a command."),
}


class _LazyGroup(click.Group):
    """Imports a command when it is called, and gives each the options that control logging."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  # click's signature
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name in COMMANDS and cmd_name not in self.commands:
            entry = COMMANDS[cmd_name]
            command: click.Command = getattr(_load(cmd_name, entry.module), entry.attribute)
            gc.freeze()
            gc.enable()
            command.params += logging_options()
            take_text_strictly(command)
            if ctx.resilient_parsing:  # for a shell that completes
                offer_paths(command)
            self.add_command(command, cmd_name)
        return self.commands.get(cmd_name)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> "list[CompletionItem]":
        """Return the commands and options that begin as typed; click's own way would load every command."""
        commands = offer_commands(((name, entry.help) for name, entry in COMMANDS.items()), incomplete)
        return [*commands, *click.Command.shell_complete(self, ctx, incomplete)]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002  # click's signature
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry.help) for name, entry in COMMANDS.items()])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command that is asked for; click's own words for one that is not there name none that is near."""
        name = args[0]
        command = self.get_command(ctx, name)
        if command is None and not name.startswith("-") and not ctx.resilient_parsing:
            raise click.UsageError(f"No such command {name!r}: {explain_unknown(name, COMMANDS)}", ctx)
        if command is not None:
            warn_of_unread_variables(ctx, name, command, COMMANDS, os.environ)
        return super().resolve_command(ctx, args)

    def make_context(
        self,
        info_name: str | None,
        args: list[str],
        parent: click.Context | None = None,
        **extra: Any,  # noqa: ANN401  # click's signature
    ) -> click.Context:
        """Read the options of the group."""
        try:
            return super().make_context(info_name, args, parent, **extra)
        except click.BadParameter as error:
            name_the_variable(error)
            raise

    def invoke(self, ctx: click.Context) -> object:
        """Run the command; where the reader of stdout has gone, end as `cat` does, and not with click's exit code 1."""
        try:
            return super().invoke(ctx)
        except click.BadParameter as error:
            name_the_variable(error)
            raise
        except BrokenPipeError:
            ctx.exit(EXIT_READER_GONE)


def _load(command: str, module: str) -> ModuleType:
    """Import the module of a command.

    Raises:
        WrongSystemError: it restores or looks at files, which Windows does not have all the calls for.
    """
    try:
        return importlib.import_module(module)
    except (ImportError, AttributeError):
        if hasattr(os, "O_DIRECTORY"):
            raise
        raise WrongSystemError(
            f"{command} runs on Linux; here, plans can be made and reviewed (compile, show, diff, validate)"
        ) from None


@click.group(
    cls=_LazyGroup,
    params=logging_options(),
    context_settings={"help_option_names": ["-h", "--help"], "auto_envvar_prefix": PREFIX},
    epilog="""\b
Exit codes:
  0        all well
  1        finished, but with problems, which are listed
  2        refused or unusable, nothing touched
  70       a bug, out of memory, or a damaged installation
  129      hung up (SIGHUP); what was done is reported
  130/143  interrupted (SIGINT/SIGTERM); what was done is reported

\b
Examples:
  kraken-plan compile 20250115_sample.d --config alphakraken.prod.yaml -o plan.json
  kraken-plan validate plan.json
  kraken-plan apply plan.json

Every option can be set by an environment variable KRAKEN_PLAN_COMMAND_OPTION, such as KRAKEN_PLAN_APPLY_JOBS=16.
Results go to stdout, everything else to stderr.
""",
)
@click.version_option(__version__, "-V", "--version", prog_name=PROGRAM, message="%(prog)s %(version)s")
def cli() -> None:
    """Restore raw files from their S3 backup in two acts: compile a plan, review it, apply it.

    compile looks everything up in the catalog and writes it into one plan file. apply looks nothing up: it restores
    exactly what the plan says, verifies every byte, and is safe to repeat.
    """
