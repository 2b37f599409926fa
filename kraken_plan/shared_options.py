"""What every command that looks at a plan, S3 and the destination is told on its command line, in one place."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import click

from applier.restore.jobs import DEFAULT_JOBS, MOST_JOBS
from applier.restore.session import SessionSettings
from applier.s3.bandwidth import parse_rate
from applier.s3.outage import MAX_OUTAGE_SECONDS
from schemas.plan_source import plan_name

_Command = Callable[..., Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessOptions:
    """Which plan, which S3, which destination, and how hard to try."""

    plan: str
    jobs: int
    output_root: str | None
    config: str | None
    allow_output_root: tuple[str, ...]
    endpoint_url: str | None
    region: str | None
    profile: str | None
    retries: int
    timeout: float
    max_outage: float

    @property
    def session_settings(self) -> SessionSettings:
        """The same in the library's terms."""
        return SessionSettings(
            plan_name=plan_name(self.plan),
            jobs=self.jobs,
            output_root=self.output_root,
            config=self.config,
            allow_output_root=self.allow_output_root,
            endpoint_url=self.endpoint_url,
            region=self.region,
            profile=self.profile,
            retries=self.retries,
            timeout_seconds=self.timeout,
            max_outage_seconds=self.max_outage,
        )


_OPTIONS = (
    click.argument("plan", metavar="PLAN"),
    click.option(
        "--jobs",
        type=click.IntRange(1, MOST_JOBS),
        default=DEFAULT_JOBS,
        show_default=True,
        help="Parts and files at once.",
    ),
    click.option(
        "--output-root",
        envvar="KRAKEN_PLAN_OUTPUT_ROOT",
        show_envvar=True,
        metavar="DIR",
        help="Restore below DIR in place of the plan's output_location.",
    ),
    click.option(
        "--config",
        envvar="KRAKEN_PLAN_CONFIG",
        show_envvar=True,
        metavar="YAML",
        help="The site's alphakraken.<env>.yaml: refuse a plan that names another output location or S3 server.",
    ),
    click.option(
        "--allow-output-root",
        metavar="DIR",
        type=click.Path(),
        multiple=True,
        help="A folder that plans may restore below, beside the site's output location; any other is refused. "
        "Can be given several times.",
    ),
    click.option("--endpoint-url", metavar="URL", help="S3 server; goes before the plan's and the AWS chain's."),
    click.option("--region", help="AWS region; goes before the plan's and the AWS chain's."),
    click.option("--profile", help="Profile of the AWS configuration."),
    click.option(
        "--retries",
        type=click.IntRange(0, 100),
        default=7,
        show_default=True,
        help="How often a request is repeated after a transient fault, with growing waits of up to 20 s.",
    ),
    click.option(
        "--timeout",
        type=click.FloatRange(0.1, 3600),
        default=20,
        show_default=True,
        metavar="SECONDS",
        help="How long S3 may say nothing before a request is repeated.",
    ),
    click.option(
        "--max-outage",
        type=click.FloatRange(0, 86400),
        default=MAX_OUTAGE_SECONDS,
        show_default=True,
        metavar="SECONDS",
        help="How long to wait for an S3 that gives nothing at all in mid-run, before the rest of a bucket is "
        "given up.",
    ),
)


def access_options(command: _Command) -> _Command:
    """Give a command the argument and the options of `AccessOptions`."""
    for option in reversed(_OPTIONS):  # click lists the one that is put on last first
        command = option(command)
    return command


def rate(_context: click.Context, _parameter: click.Parameter, text: str | None) -> int | None:
    """Read an option that is a rate, as a callback of click's."""
    try:
        return None if text is None else parse_rate(text)
    except ValueError as error:
        raise click.BadParameter(str(error)) from error
