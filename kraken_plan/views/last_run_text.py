"""Says how the last run over a plan ended, from what it has recorded: the sums, the reasons, what to do next. Pure."""

from collections.abc import Iterator

from applier.reports.causes import group_failures, helping_options
from kraken_plan.views.plan_sections import NAMES_SHOWN
from kraken_plan.views.run_facts import run_facts
from kraken_plan.views.table import Paint, Tone
from schemas.results import ApplyResult, RecordedRun
from schemas.tally import Fate, Tally
from schemas.text import counted, printable

_MOST_NAMED = 20


def last_run_lines(run: RecordedRun, result: ApplyResult, name: str, paint: Paint) -> Iterator[str]:
    """Yield how a run ended.

    Args:
        run: what it recorded.
        result: the same, confirmed on the disk.
        name: how the user named the plan.
        paint: colours words.
    """
    tally = Tally.of(result)
    yield paint(tally.describe(), Tone.GOOD if tally.all_verified else Tone.HEADING)
    facts = run_facts([run])
    width = max(len(label) for label, _ in facts)
    yield from (f"{paint(label, Tone.FAINT)}{' ' * (width - len(label))}  {value}" for label, value in facts)
    fates = (Fate.FAILED, Fate.UNRESOLVABLE, Fate.NOT_ATTEMPTED)
    groups = {fate: group_failures(result.raw_files, fate, _MOST_NAMED) for fate in fates}
    for fate in fates:
        for group in groups[fate]:
            entries = counted(group.entries, "entry")
            yield ""
            words = f"{group.cause.title}: {entries}. Applying again helps: {group.cause.again}"
            yield paint(words, Tone.NOTABLE if fate is Fate.NOT_ATTEMPTED else Tone.BAD)
            yield from (f"  {printable(one.name, NAMES_SHOWN)}: {one.failure.message}" for one in group.first)
            if more := group.entries - len(group.first):
                yield f"  … and {more:,} more"
    if tally.failed.entries or tally.not_attempted.entries:
        apply_command = " ".join(["kraken-plan apply", name, *helping_options(groups[Fate.FAILED])])
        yield ""
        yield f"Next: {apply_command}, or kraken-plan select {name} --failed -o again.json"
