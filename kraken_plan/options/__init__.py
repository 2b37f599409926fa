"""Options with rules of their own: defaults out of the site YAML, approvals asked for, what shells complete."""
