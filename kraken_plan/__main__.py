"""`python -m kraken_plan`."""

from kraken_plan.command_group import main

main()
