"""Runs the command line as `python -m kraken_plan`."""

from kraken_plan import main

main()
