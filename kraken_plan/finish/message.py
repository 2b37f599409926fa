"""Words a notification: how a run has ended, in a few lines that stand on their own. Pure.

In the forms of Slack and Teams, nothing from a plan, such as the name of a file, is taken for markup.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

from applier.reports.run_summary import RunSummary
from kraken_plan.finish.finished_run import FinishedRun, Refusal
from schemas.tally import Fate, fate_of_failure
from schemas.text import human_size, printable

_MOST_CAUSES, _MOST_REPORTS = 5, 5
_NAME_BYTES = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """What people are told.

    Args:
        title: in a line.
        lines: the rest, printable.
        is_good: whether all is well.
    """

    title: str
    lines: tuple[str, ...]
    is_good: bool

    def as_slack(self) -> dict[str, object]:
        """Return it for a Slack webhook: https://api.slack.com/messaging/webhooks."""
        title, *lines = map(_escape_for_slack, (self.title, *self.lines))
        return {"text": "\n".join([f"*{title}*", *lines])}

    def as_teams(self) -> dict[str, object]:
        """Return it for a Teams webhook, as an adaptive card: https://adaptivecards.io/explorer."""
        colour = "Good" if self.is_good else "Attention"
        title = {"type": "TextRun", "text": self.title, "weight": "Bolder", "color": colour}
        runs = [[title], *([{"type": "TextRun", "text": line}] for line in self.lines)]
        card = {
            "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
            "type": "AdaptiveCard",
            "version": "1.2",
            "body": [{"type": "RichTextBlock", "inlines": inlines} for inlines in runs],
        }
        attachment = {"contentType": "application/vnd.microsoft.card.adaptive", "content": card}
        return {"type": "message", "attachments": [attachment]}


def word_message(run: FinishedRun, host: str) -> Message:
    """Return what to tell people of a run.

    Args:
        run: that has ended.
        host: the name of this computer.
    """
    title = f"kraken-plan {run.command} on {printable(host, _NAME_BYTES)}: {_verdict(run)}"
    return Message(title=title, lines=tuple(_lines(run)), is_good=run.exit_code == 0)


def _verdict(run: FinishedRun) -> str:
    if isinstance(run.end, Refusal):
        return "refused, nothing was done"
    if run.end.is_interrupted:
        return "interrupted"
    wrong = run.end.tally.failed.entries
    if isinstance(run.healing, Refusal):
        return f"{wrong:,} FAILED, and healing was refused"
    if run.healing is not None:
        return f"{wrong:,} were wrong, " + ("all are healed" if run.exit_code == 0 else "NOT all could be healed")
    if wrong:
        return f"{wrong:,} FAILED"
    well = f"all well, {run.healed_files:,} healed" if run.healed_files else "all well"
    return well if run.exit_code == 0 else "something needs attention"


def _lines(run: FinishedRun) -> Iterator[str]:
    yield f"Plan: {printable(run.plan, _NAME_BYTES)}"
    yield from _end_lines(run.end)
    if isinstance(run.end, Refusal):
        return
    if run.healing is not None:
        yield "Healing:"
        yield from _end_lines(run.healing)
    yield f"Exit code: {run.exit_code}"


def _end_lines(end: RunSummary | Refusal) -> Iterator[str]:
    if isinstance(end, Refusal):
        yield from (printable(line) for line in end.reason.split("\n")[:_MOST_CAUSES])
    else:
        yield from _summary_lines(end)


def _summary_lines(summary: RunSummary) -> Iterator[str]:
    tally = summary.tally
    took = timedelta(seconds=round(summary.duration_seconds))
    yield f"Digest: {printable(summary.head.plan_digest, _NAME_BYTES)}"
    yield tally.describe()
    fetched = f", {human_size(summary.end.fetched_bytes)} fetched" if summary.end.fetched_bytes else ""
    sizes = f"{human_size(tally.verified.size_bytes)} of {human_size(tally.total.size_bytes)} verified"
    yield f"{sizes}{fetched}, in {took}"
    failed = [group for group in summary.causes if fate_of_failure(group.first[0].failure.kind) is Fate.FAILED]
    for group in failed[:_MOST_CAUSES]:
        first = group.first[0]
        name = printable(first.relative_path or first.raw_file_id, _NAME_BYTES)
        yield f"{group.entries:,} x {group.cause.title}; the first: {name}: {printable(first.failure.message, 500)}"
    for path in summary.end.reports[:_MOST_REPORTS]:
        yield f"Report: {printable(path)}"
    if len(summary.end.reports) > _MOST_REPORTS:
        yield f"and {len(summary.end.reports) - _MOST_REPORTS:,} more reports"


def _escape_for_slack(text: str) -> str:
    """Return text without mentions, links or entities: https://api.slack.com/reference/surfaces/formatting#escaping."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
