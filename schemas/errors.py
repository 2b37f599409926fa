"""The errors that we raise on purpose; whatever else escapes is a bug and may show its traceback.

Each message stands on its own for an operator: what, expected, found, what to do. The front door prints it and exits
with 2, for all of these are found before anything is touched. Faults of single files are values (`results.Failure`).
"""

from collections.abc import Sequence


class KrakenPlanError(Exception):
    """Base of everything that is refused or unusable."""


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
    """A results file that cannot be used, or that is of another plan."""


class CatalogError(KrakenPlanError):
    """The catalog cannot be reached or read."""


class ConfigError(KrakenPlanError):
    """The site configuration, an option or an environment variable is missing or wrong."""


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
