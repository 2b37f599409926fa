"""What `compile` asks of S3, as an interface: planner knows no S3, so the front door hands it a probe of applier's."""

from typing import Protocol

from schemas.plan import Plan


class S3Probe(Protocol):
    """Asks S3 for every file of a plan."""

    def __call__(self, plan: Plan) -> Plan:
        """Return the plan with what S3 has now: the version of each file, or why it cannot be had as its error.

        Raises:
            S3UnansweredError: S3 did not answer for all of them; a plan that is partly probed is none.
        """
