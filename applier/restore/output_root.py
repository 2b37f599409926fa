"""Moves a plan below another output root, and finds destinations that cannot be written to."""

import os
import stat
from collections.abc import Iterator
from dataclasses import replace

from applier.disk.folders import OutputFolder, kind_of_file
from applier.disk.publish import describe_rights
from schemas.errors import ConfigError
from schemas.paths import STAGING_FOLDER, explain_long_path, explain_unsafe_absolute_path, join_path, path_below
from schemas.plan import Plan, RawFilePlan
from schemas.text import printable


def reroot_plan(plan: Plan, output_root: str) -> Plan:
    """Return the plan with every destination moved from its output location to another folder.

    The digest stays that of the plan that was reviewed.

    Args:
        plan: any plan.
        output_root: a path, made absolute.

    Raises:
        ConfigError: the path cannot be an output location, or is too long for one of the plan's files.
    """
    if not output_root:
        raise ConfigError("--output-root is empty: expected a folder")
    root = os.path.abspath(output_root)  # noqa: PTH100  # resolve() would follow the operator's links
    if reason := explain_unsafe_absolute_path(root):
        raise ConfigError(f"--output-root {printable(output_root)}: {reason}")

    def moved(raw_file: RawFilePlan) -> RawFilePlan:
        if raw_file.destination_base is None:
            return raw_file
        below = path_below(raw_file.destination_base, plan.output_location)
        return replace(raw_file, destination_base=join_path(root, below) if below else root)

    rerooted = replace(plan, output_location=root, raw_files=tuple(map(moved, plan.raw_files)))
    for raw_file, file in rerooted.planned_files():
        if reason := explain_long_path(raw_file.absolute_dest_path(file)):
            raise ConfigError(f"--output-root {printable(output_root)}: {printable(file.relative_path, 100)}: {reason}")
    return rerooted


def find_destination_problems(plan: Plan, output: OutputFolder) -> list[str]:
    """Return which destinations cannot be written to, and why; changes nothing."""
    destinations = {raw_file.destination_base or plan.output_location for raw_file in plan.raw_files}
    return [problem for destination in sorted(destinations) for problem in _problems(plan, output, destination)]


def _problems(plan: Plan, output: OutputFolder, destination: str) -> Iterator[str]:
    try:
        with output.deepest_folder(path_below(destination, plan.output_location)) as folder:
            if os.statvfs(folder).f_flag & os.ST_RDONLY:
                yield f"{printable(destination)}: the file system is read-only"
            elif not os.access(".", os.W_OK | os.X_OK, dir_fd=folder):
                yield f"{printable(destination)}: no permission to write there"
            elif (reason := _explain_unusable_staging_folder(folder)) is not None:
                yield f"{printable(join_path(destination, STAGING_FOLDER))}: {reason}"
    except OSError as error:
        yield f"{printable(destination)}: {printable(str(error.filename))}: {error.strerror}"


def _explain_unusable_staging_folder(folder: int) -> str | None:
    """Return why the folder in which all runs stage their files cannot be used; None if it can, or is not there."""
    try:
        status = os.stat(STAGING_FOLDER, dir_fd=folder, follow_symlinks=False)
    except OSError:
        return None
    if not stat.S_ISDIR(status.st_mode):
        return f"{kind_of_file(STAGING_FOLDER, folder)} stands where all runs stage their files: move it away"
    if status.st_dev != os.fstat(folder).st_dev:
        return "is on another file system than its destination: staged files cannot be renamed into place; unmount it"
    if os.access(STAGING_FOLDER, os.W_OK | os.X_OK, dir_fd=folder):
        return None
    return (
        f"no permission to write there, where all runs stage their files; it is {describe_rights(status)}: have its "
        "owner open it to you (chmod g+rwxs), or remove it once none of their runs is alive"
    )
