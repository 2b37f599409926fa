"""`python -m kraken_plan`."""

from kraken_plan.front_door import main

main()
