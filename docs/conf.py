"""Settings of the documentation's site: https://www.sphinx-doc.org/en/master/usage/configuration.html."""

import sys
from pathlib import Path

_DOCS = Path(__file__).parent
sys.path[:0] = [str(_DOCS / "_extensions"), str(_DOCS.parent)]

from schemas.version import __version__  # noqa: E402  # found by the line above

project = "kraken-plan"
author = "the authors of kraken-plan"
copyright = author  # noqa: A001  # Sphinx's name
version = release = __version__

extensions = ["myst_parser", "sphinx_click", "command_help", "generated_tables"]
exclude_patterns = ["_build"]
myst_heading_anchors = 3
# Sphinx-click names environment variables that are of no domain, and options by their metavar.
nitpick_ignore_regex = [("std:option", ".*"), ("envvar", ".*")]

html_theme = "furo"
html_title = f"kraken-plan {version}"
html_static_path = ["_static"]
html_copy_source = False
