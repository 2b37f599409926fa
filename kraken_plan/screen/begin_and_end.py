"""Says on stderr how a run begins and how it has ended."""

import shlex
import signal
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from applier.look.check_plan import find_staged_bytes
from applier.restore.session import Session
from applier.target import distinct_targets
from kraken_plan.console import say, say_unless_quiet
from kraken_plan.logs import is_quiet
from kraken_plan.options.run_options import AcceptOptions, AccessOptions
from kraken_plan.screen.run_counts import RunState
from kraken_plan.signals import StopRequest
from kraken_plan.views.end_text import EndedRun, end_lines, failures_line
from kraken_plan.views.start_text import S3Name, start_lines
from schemas.plan import Plan
from schemas.plan_source import STDIN, plan_name
from schemas.results import ApplyResult
from schemas.text import printable


@dataclass(frozen=True, slots=True, kw_only=True)
class EndOfRun:
    """What there is to say of a run that has ended.

    Args:
        plan: as it was applied.
        result: of every entry.
        state: the last that was counted.
        stop: whether it was interrupted.
        kept: paths of plan and results, where they were kept beside the reports; else empty.
    """

    plan: Plan
    result: ApplyResult
    state: RunState
    stop: StopRequest
    kept: Sequence[str]


def say_start(session: Session, options: AccessOptions) -> None:
    """Say what is restored, from which S3 and as whom, and to where."""
    if not is_quiet():
        lines = start_lines(session.plan, plan_name(options.plan), describe_s3(session), datetime.now(UTC))
        say("\n".join(lines))


def describe_s3(session: Session) -> S3Name:
    """Return which S3 a session asks, and as whom."""
    chain = session.boto.chain
    address = chain.default_address
    return S3Name(endpoint_url=address.endpoint_url, region=address.region, credentials=chain.credentials.origin)


def say_end(session: Session, options: AcceptOptions, end: EndOfRun) -> None:
    """Say how a run has ended; quietly, only the first reason why not everything is verified."""
    if is_quiet():
        if line := failures_line(end.result):
            say(line)
        return
    number = end.stop.signal_number
    plan_path = end.kept[0] if end.kept else options.plan
    ended = EndedRun(
        result=end.result,
        seconds=end.state.seconds,
        fetched_bytes=end.state.fetched_bytes,
        stopped_by=None if number is None else signal.Signals(number).name,
        staged_bytes=None if end.result.succeeded else _count_staged_bytes(end.plan, session),
        apply_command=_command("apply", plan_path, options),
        accepted=options.accepted,
        select_command=None if plan_path == STDIN else _command("select", plan_path),
    )
    say_unless_quiet("\n".join(end_lines(ended)))


def _count_staged_bytes(plan: Plan, session: Session) -> int:
    staged = find_staged_bytes(plan, session.output)
    if not staged:
        return 0
    return sum(staged.get(indices[0], 0) for indices, _ in distinct_targets(plan))


def _command(command: str, plan_path: str, options: AccessOptions | None = None) -> str:
    """Return what to type, with the options that say from where and to where."""
    words = ["kraken-plan", command, plan_path]
    if options is not None:
        given = {
            "--output-root": options.output_root,
            "--config": options.config,
            "--endpoint-url": options.endpoint_url,
            "--region": options.region,
            "--profile": options.profile,
        }
        words += [word for name, value in given.items() if value is not None for word in (name, value)]
        words += [word for root in options.allow_output_root for word in ("--allow-output-root", root)]
    return printable(shlex.join(words))
