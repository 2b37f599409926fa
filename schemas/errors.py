"""Defines the errors that are raised on purpose; anything else that escapes is a bug.

Each message stands on its own: what is wrong, what was expected, what was found, what to do. The command line prints it
and exits with 2, because all of these are found before anything is touched. Faults of single files are values
(`results.Failure`).
"""

from collections.abc import Sequence


class KrakenPlanError(Exception):
    """Base class: something is refused or cannot be used."""


class PlanError(KrakenPlanError):
    """A plan file that cannot be used.

    Args:
        name: how the user named the plan (a path, or `<stdin>`).
        issues: everything that is wrong with it, one line each.
    """

    SHOWN = 20

    def __init__(self, name: str, issues: Sequence[str]) -> None:
        self.name = name
        self.issues = tuple(issues)
        shown = self.issues[: self.SHOWN]
        more = len(self.issues) - len(shown)
        lines = [*shown, f"… and {more} more"] if more else list(shown)
        super().__init__(f"{name}: " + ("\n  ".join(["the plan is refused:", *lines]) if len(lines) > 1 else lines[0]))


class ResultsError(KrakenPlanError):
    """A results file that cannot be used, or that belongs to another plan."""


class CatalogError(KrakenPlanError):
    """The catalog cannot be reached or read."""


class ConfigError(KrakenPlanError):
    """The site configuration, an option or an environment variable is missing or wrong."""


class ApprovalError(KrakenPlanError):
    """A plan is not approved as it has to be, or its approvals cannot be made, read or checked."""


class WrongSystemError(KrakenPlanError):
    """A command that this operating system cannot run."""


class S3UnansweredError(KrakenPlanError):
    """S3 gave no answer where one is needed before anything is written."""


class DestinationError(KrakenPlanError):
    """The output location cannot be used."""


class PreflightError(KrakenPlanError):
    """A plan that cannot be applied as things stand.

    Args:
        problems: everything that is wrong, one line each.
    """

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n  ".join(["nothing was restored:", *self.problems]))
