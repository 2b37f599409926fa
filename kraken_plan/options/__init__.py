"""Options with rules of their own: defaults out of the site YAML, and approvals that are asked for."""
