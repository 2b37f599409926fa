"""Defines the options that several commands have, each once; those of commands that only review: `plan_options`."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from applier.restore.jobs import DEFAULT_JOBS, MOST_JOBS, SMALL_FILE_JOBS
from applier.s3.bandwidth import parse_rate
from applier.s3.outage import MAX_OUTAGE_SECONDS
from kraken_plan.options.option_types import Seconds
from kraken_plan.options.plan_options import plan_argument, site_option, take_duration, with_options
from kraken_plan.screen.kinds import ProgressKind

if TYPE_CHECKING:  # what a run needs, and help does not
    from applier.restore.find_object import Acceptance
    from applier.restore.session import SessionSettings

_Command = Callable[..., Any]


def _parse_rate(_context: click.Context, _parameter: click.Parameter, text: str | None) -> int | None:
    try:
        return None if text is None else parse_rate(text)
    except ValueError as error:
        raise click.BadParameter(str(error)) from error


output_root_option = click.option(
    "--output-root",
    envvar="KRAKEN_PLAN_OUTPUT_ROOT",
    show_envvar=True,
    metavar="DIR",
    help="Use DIR in place of the plan's output_location.",
)


config_option = site_option(
    "take defaults for options from it, and refuse a plan that names another output location or S3 server"
)

allow_output_root_option = click.option(
    "--allow-output-root",
    metavar="DIR",
    type=click.Path(),
    multiple=True,
    help="Allow plans to restore below DIR, too, and not only below the site's output location; any other place is "
    "refused. Can be repeated.",
)


def rate_option(name: str, words: str) -> Callable[[_Command], _Command]:
    """Return an option that takes a rate in bytes a second.

    Args:
        name: of the option.
        words: its help, to which is added how a rate is written.
    """
    how = "RATE is in bytes a second: 200M or 200MiB (powers of 1024), 200MB (powers of 1000)."
    return click.option(name, metavar="RATE", callback=_parse_rate, help=f"{words}. {how}")


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessOptions:
    """Which plan, which S3, which destination, and how hard to try."""

    plan: str
    jobs: int | None
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
    def session_settings(self) -> "SessionSettings":
        """The same in the library's terms."""
        from applier.restore.session import PlaceSettings, S3Choice, SessionSettings  # noqa: PLC0415  # see above
        from schemas.plan_source import plan_name  # noqa: PLC0415  # see above

        return SessionSettings(
            plan_name=plan_name(self.plan),
            jobs=self.jobs,
            place=PlaceSettings(output_root=self.output_root, config=self.config, allowed_roots=self.allow_output_root),
            s3=S3Choice(endpoint_url=self.endpoint_url, region=self.region, profile=self.profile),
            retries=self.retries,
            timeout_seconds=self.timeout,
            max_outage_seconds=self.max_outage,
        )


_ACCESS_OPTIONS = (
    plan_argument,
    click.option(
        "--jobs",
        type=click.IntRange(1, MOST_JOBS),
        help=(
            "How many files, and parts of files, to work on at once.  "
            f"[default: {DEFAULT_JOBS}; {SMALL_FILE_JOBS} where files have less than 1 MiB on average; "
            "fewer where a plan has less to do]"
        ),
    ),
    output_root_option,
    config_option,
    allow_output_root_option,
    click.option(
        "--endpoint-url",
        metavar="URL",
        help="S3 server; takes precedence over the plan's and the AWS chain's.",
    ),
    click.option("--region", help="AWS region; takes precedence over the plan's and the AWS chain's."),
    click.option("--profile", help="Profile in the AWS configuration."),
    click.option(
        "--retries",
        type=click.IntRange(0, 100),
        default=7,
        show_default=True,
        help="How often to repeat a request after a transient fault, waiting longer each time, up to 20 s.",
    ),
    click.option(
        "--timeout",
        type=Seconds(0.1, 3600),
        default=20,
        show_default=True,
        metavar="SECONDS",
        help="How long S3 may be silent before a request is repeated.",
    ),
    click.option(
        "--max-outage",
        type=Seconds(0, 86400),
        default=MAX_OUTAGE_SECONDS,
        show_default=True,
        metavar="SECONDS",
        help="How long to wait during a run for an S3 that does not answer at all, before giving up on the rest of a "
        "bucket.",
    ),
)


def access_options(command: _Command) -> _Command:
    """Give a command the argument and the options of `AccessOptions`."""
    return with_options(command, *_ACCESS_OPTIONS)


@dataclass(frozen=True, slots=True, kw_only=True)
class AcceptOptions(AccessOptions):
    """Besides, which objects to accept beside those that the plan names."""

    recover_versions: bool
    accept_other_parts: bool
    accept_md5: bool

    @property
    def accepted(self) -> tuple[str, ...]:
        """Those of these options that were given."""
        given = {
            "--recover-versions": self.recover_versions,
            "--accept-other-parts": self.accept_other_parts,
            "--accept-md5": self.accept_md5,
        }
        return tuple(name for name, is_given in given.items() if is_given)

    @property
    def accept(self) -> "Acceptance":
        """The same in the library's terms."""
        from applier.restore.find_object import Acceptance  # noqa: PLC0415  # see above

        return Acceptance(
            older_versions=self.recover_versions, other_parts=self.accept_other_parts, md5=self.accept_md5
        )


_ACCEPT_OPTIONS = (
    click.option(
        "--recover-versions",
        is_flag=True,
        help="If S3's current object is missing or has another etag, restore the newest older version that has the "
        "planned one. Needs s3:ListBucketVersions and s3:GetObjectVersion.",
    ),
    click.option(
        "--accept-other-parts",
        is_flag=True,
        help="Also fetch objects of the right size whose etag differs because they were uploaded again in other parts "
        "(a copied or migrated bucket). The planned etag, computed from the bytes read back, decides.",
    ),
    click.option(
        "--accept-md5",
        is_flag=True,
        help="If S3's etag is not made of the object's bytes (SSE-KMS, SSE-C, some S3 clones), verify by the MD5 in "
        "the plan.",
    ),
)


def accept_options(command: _Command) -> _Command:
    """Give a command the further options of `AcceptOptions`."""
    return with_options(command, *_ACCEPT_OPTIONS)


progress_option = click.option(
    "--progress",
    type=click.Choice([kind.value for kind in ProgressKind]),
    default=ProgressKind.AUTO.value,
    show_default=True,
    callback=lambda _context, _parameter, name: ProgressKind(name),
    help="Show progress as one line that is redrawn (bar), a line every 30 s (plain), a JSON line every second, or "
    "not at all; auto is bar on a terminal, plain elsewhere, none with -q. All on stderr.",
)

max_wait_option = click.option(
    "--max-wait",
    metavar="TIME",
    default="48h",
    show_default=True,
    callback=take_duration,
    help="How long to wait at most for what S3 is restoring: seconds, or a number with m, h or d.",
)


max_time_option = click.option(
    "--max-time",
    metavar="TIME",
    callback=take_duration,
    help="Begin no further file after TIME, and leave the rest to the next run: seconds, or a number with m, h or d.",
)


report_dir_option = click.option(
    "--report-dir",
    metavar="DIR",
    type=click.Path(),
    callback=lambda _context, _parameter, path: None if path is None else str(Path(path).absolute()),
    help="Write the txt reports into DIR instead of the destinations.",
)


def yes_option(words: str) -> Callable[[_Command], _Command]:
    """Return the option that answers a question before it is asked; `words` say what is then done."""
    return click.option("--yes", is_flag=True, help=f"{words} Needed where stdin or stderr is not a terminal.")
