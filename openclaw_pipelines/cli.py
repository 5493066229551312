"""`openclaw`: what an operator does outside Dagster. Each command is in `commands`; this file only names them.

Exit code 0 is fine, 1 a named failure (one message on stderr), 2 wrong usage.
"""

import click

from openclaw_pipelines.commands.shared import LazyGroup, version_option

_HOME = "openclaw_pipelines.commands"
COMMANDS = {
    "init": f"{_HOME}.init:init",
    "demo": f"{_HOME}.run:demo",
    "web": f"{_HOME}.run:web",
    "ticker": f"{_HOME}.run:ticker",
    "factory": f"{_HOME}.factory:factory",
    "status": f"{_HOME}.status:status",
    "explain": f"{_HOME}.explain:explain",
    "changes": f"{_HOME}.changes:changes",
    "verify": f"{_HOME}.verify:verify",
    "seals": f"{_HOME}.seals:seals",
    "report": f"{_HOME}.data:report",
    "tables": f"{_HOME}.data:tables",
    "export": f"{_HOME}.data:export",
    "market": f"{_HOME}.data:market",
    "candles": f"{_HOME}.candles:candles",
    "approve": f"{_HOME}.approvals:approve",
    "decline": f"{_HOME}.approvals:decline",
    "deployments": f"{_HOME}.promotion:deployments",
    "promote": f"{_HOME}.promotion:promote",
    "demote": f"{_HOME}.promotion:demote",
    "rollback": f"{_HOME}.promotion:rollback",
}
"""Command -> where it is; imported only when called, so that `openclaw --help` is quick."""


@click.group(cls=LazyGroup, commands_at=COMMANDS, context_settings={"help_option_names": ["-h", "--help"]})
@version_option
def main() -> None:
    """A trading autopilot that can be audited.

    Reads its configuration from OPENCLAW_CONFIG or config/autopilot.yaml.
    """


if __name__ == "__main__":
    main()
