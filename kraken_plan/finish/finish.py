"""Defines the options by which a command passes on how its run has ended, and does so."""

import logging
import platform
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from applier.reports.run_summary import RunSummary
from kraken_plan.finish.finished_run import SUMMARY_BEGINS, FinishedRun, Refusal
from kraken_plan.logs import log_file_path
from kraken_plan.options.plan_options import with_options
from kraken_plan.output_files import STDOUT, refuse_anything_but, refuse_one_file_for_two
from kraken_plan.report_results import print_paths
from schemas.atomic_file import write_atomically
from schemas.errors import ConfigError, KrakenPlanError
from schemas.plan_source import plan_name
from schemas.results_file import summary_line

logger = logging.getLogger(__name__)

_Command = Callable[..., Any]
_META = "kraken_plan.finish"
_ALWAYS, _PROBLEM = "always", "problem"
_OUTPUTS = frozenset({"results", "html", "output"})
_SITES_OWN = ("ops", "business")


def _keep(context: click.Context, parameter: click.Parameter, value: object) -> None:
    """Keep an option's value apart from those that the command itself takes."""
    context.meta[f"{_META}.{context.info_name}.{parameter.name}"] = value


def summary_options(command: _Command) -> _Command:
    """Give a command the options for programs and monitoring; `take_finish` takes them."""
    return with_options(
        command,
        click.option(
            "--summary",
            metavar="FILE|-",
            expose_value=False,
            callback=_keep,
            help="Write how the run has ended to FILE, as one JSON object; with -, print that on stdout, and nothing "
            "else.",
        ),
        click.option(
            "--metrics",
            metavar="FILE",
            type=click.Path(path_type=Path),
            expose_value=False,
            callback=_keep,
            help="Write how the run has ended to FILE, for Prometheus (a textfile of node_exporter). Each plan needs a "
            "FILE of its own.",
        ),
    )


def finish_options(*, notify_on: str = _ALWAYS) -> Callable[[_Command], _Command]:
    """Return what gives a command all options; see `take_finish`.

    Args:
        notify_on: when it notifies unless told otherwise.
    """
    notifying = (
        click.option(
            "--notify",
            metavar="WHERE",
            multiple=True,
            expose_value=False,
            callback=_keep,
            help="Notify people when the run has ended: ops or business for the site YAML's webhooks, the address of a "
            "webhook of Slack or Teams, or any that apprise knows (kraken-plan[notify]). Can be repeated.",
        ),
        click.option(
            "--notify-on",
            type=click.Choice([_ALWAYS, _PROBLEM]),
            default=notify_on,
            show_default=True,
            expose_value=False,
            callback=_keep,
            help="Notify at the end of every run, or only if the exit code is not 0 or something was healed.",
        ),
        click.option(
            "--on-finish",
            metavar="COMMAND",
            expose_value=False,
            callback=_keep,
            help="Run COMMAND in a shell when the run has ended, with the summary (JSON) on its stdin.",
        ),
    )
    return lambda command: summary_options(with_options(command, *notifying))


@dataclass(frozen=True, slots=True, kw_only=True)
class Finish:
    """How a command passes on how its run has ended.

    Args:
        command: its name.
        plan: as the user named it.
        summary: where to write it, `-` for stdout.
        metrics: where to write them.
        addresses: of those to be notified.
        notify_on: `always` or `problem`.
        on_finish: a command for the shell.
    """

    command: str
    plan: str
    summary: str | None = None
    metrics: Path | None = None
    addresses: tuple[str, ...] = ()
    notify_on: str = _ALWAYS
    on_finish: str | None = None

    @property
    def owns_stdout(self) -> bool:
        """Whether nothing but the summary may be printed on stdout."""
        return self.summary == STDOUT

    def print_paths(self, paths: Iterable[str]) -> bool:
        """Print the paths of what a run has written, unless stdout is the summary's; tell whether that succeeded."""
        return self.owns_stdout or print_paths(paths)

    def pass_on(self, summary: RunSummary) -> bool:
        """Pass on how a run has ended, and tell whether summary and metrics could be written."""
        return self.pass_on_run(FinishedRun(command=self.command, plan=self.plan, end=summary))

    def pass_on_run(self, run: FinishedRun) -> bool:
        """Pass on how a run has ended or was refused, see `pass_on`."""
        record = run.as_record()
        well = all([self._write_summary(record), self._write_metrics(run)])
        self._notify(run)
        if self.on_finish is not None:
            from kraken_plan.finish.hook import run_hook  # noqa: PLC0415  # most runs have none

            run_hook(self.on_finish, record)
        return well

    @contextmanager
    def telling_refusals(self) -> Iterator[None]:
        """Pass on what refuses a run during a block."""
        try:
            yield
        except KrakenPlanError as error:
            refusal = Refusal(reason=str(error), at=datetime.now(UTC))
            self.pass_on_run(FinishedRun(command=self.command, plan=self.plan, end=refusal))
            raise

    def _write_summary(self, record: Mapping[str, object]) -> bool:
        if self.summary is None:
            return True
        line = summary_line(record)
        try:
            if not self.owns_stdout:
                write_atomically(Path(self.summary), [line.encode()])
            elif sys.stdout is not None:
                sys.stdout.write(line)
                sys.stdout.flush()
        except (KrakenPlanError, OSError) as error:
            logger.error("the summary cannot be written: %s", error)  # noqa: TRY400  # not a bug
            return False
        return True

    def _write_metrics(self, run: FinishedRun) -> bool:
        if self.metrics is None:
            return True
        from kraken_plan.finish.metrics import write_metrics  # noqa: PLC0415  # most runs write none

        try:
            write_metrics(run, self.metrics)
        except KrakenPlanError as error:
            logger.error("the metrics cannot be written: %s", error)  # noqa: TRY400  # not a bug
            return False
        return True

    def _notify(self, run: FinishedRun) -> None:
        if not self.addresses or (self.notify_on == _PROBLEM and run.is_uneventful):
            return
        from kraken_plan.finish.message import word_message  # noqa: PLC0415  # most runs notify nobody
        from kraken_plan.finish.notify import send  # noqa: PLC0415

        message = word_message(run, platform.node())
        for address in self.addresses:
            send(message, address)


@dataclass(frozen=True, slots=True, kw_only=True)
class HealingFinish(Finish):
    """Passes on how the apply of `verify --heal` has ended, together with what it heals.

    Args:
        run: that has found what is wrong.
        finish: its own.
    """

    run: FinishedRun
    finish: Finish

    def pass_on(self, summary: RunSummary) -> bool:
        """See `Finish`."""
        return self.finish.pass_on_run(replace(self.run, healing=summary))


def take_finish(context: click.Context, plan: str, config: str | None) -> Finish:
    """Return how a command passes on how its run has ended, as its options say.

    Args:
        context: of the command.
        plan: that it is about, as the user named it.
        config: path of the site YAML, which has webhooks.

    Raises:
        ConfigError: something cannot be written where it says, or nobody can be notified there.
    """

    def kept(name: str) -> Any:  # noqa: ANN401  # click checked the type
        return context.meta.get(f"{_META}.{context.info_name}.{name}")

    finish = Finish(
        command=context.info_name or "",
        plan=plan_name(plan),
        summary=kept("summary"),
        metrics=kept("metrics"),
        addresses=tuple(_address(where, config) for where in kept("notify") or ()),
        notify_on=kept("notify_on") or _ALWAYS,
        on_finish=kept("on_finish"),
    )
    refuse_one_file_for_two(
        {
            "--summary": finish.summary,
            "--metrics": finish.metrics,
            "--log-file": log_file_path(),
            **{f"--{name}": context.params[name] for name in _own_outputs(context.command)},
        }
    )
    if finish.summary is not None and not finish.owns_stdout:
        refuse_anything_but(
            Path(finish.summary), "a summary", lambda begin: not begin or begin.startswith(SUMMARY_BEGINS)
        )
    if finish.metrics is not None:
        from kraken_plan.finish.metrics import FILE_BEGINS  # noqa: PLC0415  # most runs write none

        refuse_anything_but(finish.metrics, "metrics", lambda begin: not begin or begin.startswith(FILE_BEGINS))
    return finish


def _own_outputs(command: click.Command) -> Iterator[str]:
    """Yield the names of the options by which a command itself writes files."""
    names = (parameter.name for parameter in command.params if isinstance(parameter, click.Option))
    return (name for name in names if name in _OUTPUTS)


def _address(where: str, config: str | None) -> str:
    """Return the address that a user means.

    Raises:
        ConfigError: there is none, or nothing can be sent there.
    """
    address: str | None = where
    if where in _SITES_OWN:
        if config is None:
            raise ConfigError(f"--notify {where} is for a webhook of the site YAML: name it (--config)")
        from schemas.site.config import read_webhook_url  # noqa: PLC0415  # yaml

        address = read_webhook_url(config, where)
    if address is None:
        raise ConfigError(f"--notify {where}: the site YAML has no general.notifications.{where}_alerts_webhook_url")
    from kraken_plan.finish.notify import check_address  # noqa: PLC0415  # most runs notify nobody

    check_address(address)
    return address
