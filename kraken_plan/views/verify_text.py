"""Says in a few lines how a run of `verify` has ended. Pure."""

from collections.abc import Iterator

from applier.verify.verification_report import VerificationReport
from kraken_plan.views.end_text import unresolvable_lines
from schemas.results import ApplyResult
from schemas.tally import Tally


def verify_summary(report: VerificationReport, *, heals: bool, is_pass_kept: bool) -> Iterator[str]:
    """Yield what a run has found, and what is left of its pass.

    Args:
        report: of the run.
        heals: whether apply goes on with what is wrong.
        is_pass_kept: whether the next run knows what this one has read.
    """
    tally = Tally.of(report.result)
    yield tally.describe()
    if tally.failed.entries and not heals:
        yield "Apply the plan again to heal what is wrong, or let `verify --heal` do it"
    if tally.not_attempted.entries and is_pass_kept:
        yield f"The pass that began at {report.pass_began_at} goes on: the next run reads what is left"


def unresolvable_summary(result: ApplyResult) -> Iterator[str]:
    """Yield what cannot be verified, because the plan could not resolve it, and what to do; nothing if all could be."""
    count = Tally.of(result).unresolvable.entries
    yield from unresolvable_lines(result, count)
    if count:
        yield "next: `kraken-plan select PLAN --resolvable -o resolvable.json` leaves them out"
