"""The command line and all that people read: commands, options, console, and in `views` terminals, tables, pages."""

from kraken_plan.command_group import main

__all__ = ["main"]
