"""The version of the program, in one place (hatchling reads it from here)."""

__version__ = "0.1.0"

CREATED_BY = f"kraken-plan {__version__}"

REPORT_BUGS_TO = "the maintainers of kraken-plan"
