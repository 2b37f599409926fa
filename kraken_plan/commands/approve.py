"""`kraken-plan approve`: plans -> a signature over each one's digest -> its file of approvals."""

import getpass
import platform
import sys
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import click

from applier.approvals.approval import Approval, Statement
from applier.approvals.approvals_file import add_approval, read_approvals
from applier.approvals.ssh_keygen import sign, signing_key
from kraken_plan.console import say_unless_quiet
from kraken_plan.options.approvals import approvals_option, approvals_path
from schemas.errors import ConfigError, PlanError
from schemas.plan import Plan
from schemas.plan_source import load_plan, plan_name
from schemas.text import counted, human_size, printable, shown_on

_MAX_COMMENT = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class ApproveOptions:
    """What the command line asks for."""

    plans: tuple[str, ...]
    key: str | None
    comment: str
    name: str | None
    expect_digest: str | None
    approvals: str | None


def _take_line(_context: click.Context, parameter: click.Parameter, text: str | None) -> str | None:
    if text is not None and (len(text) > _MAX_COMMENT or not text.isprintable()):
        raise click.BadParameter(f"expected a line of at most {_MAX_COMMENT} characters", param=parameter)
    return text


@click.command(
    "approve",
    epilog="""\b
Exit codes:
  0  approved
  2  refused: nothing was written

\b
Examples:
  kraken-plan approve plan.json --comment "reviewed with the lab, ticket 4711"
  kraken-plan approve plan.json --key ~/.ssh/id_ed25519_sk --expect-digest sha256:65fa8cb5…
  kraken-plan approve parts/plan-*-of-*.json

The signature is made by `ssh-keygen -Y sign` in the namespace kraken-plan, with a key in a file, in an agent (name the
public key) or on a hardware token, over the plan's digest, the time, your name and the comment. Several people can
approve one plan, each with a key of their own. An edited plan has another digest: it has to be approved again.
""",
)
@click.argument("plans", metavar="PLAN...", nargs=-1, required=True)
@click.option(
    "--key",
    metavar="KEY",
    type=click.Path(),
    help="Sign with this SSH key: a private one, or the public one of a key in the agent. [default: the first of "
    "~/.ssh, or the agent's only one]",
)
@click.option("--comment", metavar="TEXT", default="", callback=_take_line, help="Say something about it.")
@click.option("--as", "name", metavar="NAME", callback=_take_line, help="Your name. [default: your user and computer]")
@click.option("--expect-digest", metavar="DIGEST", help="Refuse any plan but the one with this plan_digest.")
@approvals_option
def approve_command(**options: object) -> None:
    """Approve each PLAN: sign its digest with your SSH key, and add that to PLAN.approvals.

    Says what is approved. Asks nothing itself, but a key may ask for a passphrase or a touch. Prints the paths of the
    files of approvals.
    """
    _approve(ApproveOptions(**options))  # type: ignore[arg-type]  # click checked the types


def _approve(options: ApproveOptions) -> None:
    if len(options.plans) > 1 and (options.approvals is not None or options.expect_digest is not None):
        raise ConfigError("--approvals and --expect-digest are about a single plan")
    plans = [(source, load_plan(source), approvals_path(source, options.approvals)) for source in options.plans]
    for source, plan, path in plans:
        _check_digest(source, plan, options.expect_digest)
        read_approvals(path)  # before anybody is asked for a passphrase
    with signing_key(options.key) as key:
        for source, plan, path in plans:
            say_unless_quiet(f"approving {plan_name(source)}: {_describe(plan)}; the key is {printable(str(key))}")
            add_approval(path, _sign(plan, options, key))
            click.echo(shown_on(sys.stdout, str(path)))


def _check_digest(source: str, plan: Plan, expected: str | None) -> None:
    if expected is not None and plan.plan_digest != f"sha256:{expected.lower().removeprefix('sha256:')}":
        said = f"--expect-digest asks for {printable(expected)}, but this plan has {plan.plan_digest}: review it first"
        raise PlanError(plan_name(source), [said])


def _sign(plan: Plan, options: ApproveOptions, key: Path) -> Approval:
    statement = Statement(
        plan_digest=plan.plan_digest or "",
        approved_by=options.name or _own_name(),
        approved_at=datetime.now(UTC).replace(microsecond=0),
        comment=options.comment,
    )
    return Approval(statement=statement, signature=sign(statement.message(), key))


def _own_name() -> str:
    user = "somebody"
    with suppress(OSError, KeyError, ImportError):  # a user without a name
        user = getpass.getuser()
    return printable(f"{user}@{platform.node()}")


def _describe(plan: Plan) -> str:
    totals = plan.totals()
    return (
        f"{counted(totals.files, 'file')} ({human_size(totals.size_bytes)}) below {printable(plan.output_location)}, "
        f"{plan.plan_digest}"
    )
