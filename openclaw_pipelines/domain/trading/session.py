"""What a strategy carries from tick to tick. Taking a tick is in `tick`."""

import copy
from dataclasses import dataclass, field

from openclaw_pipelines.contracts.canonical import sha256_of
from openclaw_pipelines.domain.governance.approvals import Awaiting
from openclaw_pipelines.domain.governance.audit import AuditChain
from openclaw_pipelines.domain.governance.policy import Policy
from openclaw_pipelines.domain.trading.books import Books
from openclaw_pipelines.domain.trading.deployment import Deployment, policy_payload
from openclaw_pipelines.domain.trading.records import Row, Scale
from openclaw_pipelines.kernel.base import layout
from openclaw_pipelines.kernel.base.state_bytes import state_bytes, state_hash

GENESIS_BARS = "0" * 64


@dataclass
class Session:
    """What a strategy carries from tick to tick. Everything in it can be rebuilt from the ledger."""

    deployment: Deployment
    policy: Policy
    state: layout.State
    books: Books
    chain: AuditChain
    bars_hash: str = GENESIS_BARS
    uncertain: bool = False
    config_fingerprint: str = ""
    awaiting: dict[str, Awaiting] = field(default_factory=dict)
    reconciled_day: str | None = None

    def __post_init__(self) -> None:
        self.use_policy(self.policy)

    def copy(self) -> "Session":
        """An independent copy, so that a tick can be taken on trial."""
        trial = copy.copy(self)
        trial.state = layout.copy_state(self.state)
        trial.books = Books(self.books.cash, dict(self.books.quantities))
        trial.chain = copy.copy(self.chain)
        trial.awaiting = dict(self.awaiting)
        return trial

    def use_policy(self, policy: Policy) -> None:
        """Take limits, costs and controls in force from the next tick on."""
        self.policy = policy
        self.context = self.deployment.context(policy)
        self.limits = self.deployment.limits(policy)
        self.scale = Scale(self.deployment)
        self.payload = policy_payload(self.deployment, policy)
        self.context_hash = sha256_of(self.payload)
        self.policy_version_id = policy.version_id


def kernel_state_row(session: Session) -> Row:
    """The full state, to be kept for the latest tick, inception and each day's end."""
    data = state_bytes(session.state)
    return {"state": data, "state_hash": state_hash(session.state)}


def new_session(
    deployment: Deployment, policy: Policy, state: layout.State, chain: AuditChain, config_fingerprint: str
) -> Session:
    """A session at inception: flat, with the configured capital."""
    session = Session(deployment, policy, state, Books(deployment.capital), chain)
    session.config_fingerprint = config_fingerprint
    return session
