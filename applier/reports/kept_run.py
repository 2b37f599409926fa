"""Keeps the plan and the results of a run beside its reports, for runs whose plan is in no other file.

Both names begin as the reports' do, which no plan may use for a file of its own.
"""

import os
from collections.abc import Iterable
from pathlib import Path

from applier.disk.folders import OutputFolder
from applier.disk.run_folders import Stagings
from applier.reports.report import dated_names, write_new_file
from applier.reports.results_writer import ResultsWriter
from schemas.errors import DestinationError
from schemas.paths import join_path, path_below
from schemas.plan import Plan
from schemas.results import RunHead
from schemas.results_file import head_line
from schemas.text import printable

_PLAN_SUFFIX, _RESULTS_SUFFIX = ".plan.json", ".results.jsonl"


def keep_run(
    plan: Plan, content: Iterable[bytes], place: tuple[OutputFolder, Stagings], run: RunHead
) -> tuple[tuple[str, str], ResultsWriter]:
    """Write a plan, whole or not at all, and begin its results file.

    Both are in the plan's destination; where it has several, in the output location.

    Args:
        plan: as it is applied.
        content: the plan file's, in pieces.
        place: the output location, and staging folders below it.
        run: how the run begins; its time is part of both names.

    Returns:
        The absolute paths of both files, and what takes the results.

    Raises:
        DestinationError: one of them cannot be written.
    """
    output, stagings = place
    destinations = {raw_file.destination_base for raw_file in plan.raw_files if raw_file.destination_base}
    kept_in = destinations.pop() if len(destinations) == 1 else plan.output_location
    try:
        with stagings.lent(path_below(kept_in, output.path)) as staging:
            plan_name = write_new_file(content, kept_in, dated_names(run.started_at, _PLAN_SUFFIX), (output, staging))
            staging.reserve_report()  # once more: the plan has taken its space
        name = plan_name.removesuffix(_PLAN_SUFFIX) + _RESULTS_SUFFIX
        with output.folder(path_below(kept_in, output.path)) as folder:
            flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            descriptor = os.open(name, flags, 0o666, dir_fd=folder)
    except OSError as error:
        raise DestinationError(
            f"{printable(kept_in)}: the plan and the results cannot be kept there: {error.strerror or error}"
        ) from None
    path = join_path(kept_in, name)
    writer = ResultsWriter(Path(path), descriptor, head_line(run).encode())
    return (join_path(kept_in, plan_name), path), writer
