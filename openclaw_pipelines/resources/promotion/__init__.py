"""Promotion: the log of transitions, evidence out of the ledger, and what deploys, reviews and rolls back strategies.

What is legal, what holds and what follows is decided in `domain.lifecycle`; here it is read, stored and made to count.
"""

from openclaw_pipelines.resources.promotion.book import DeploymentBook
from openclaw_pipelines.resources.promotion.deploy import deploy_cycle
from openclaw_pipelines.resources.promotion.operations import demote, promote, review_day, rollback
from openclaw_pipelines.resources.promotion.parity import paper_parity, record_paper_parity
from openclaw_pipelines.resources.promotion.standing import standings

__all__ = [
    "DeploymentBook",
    "demote",
    "deploy_cycle",
    "paper_parity",
    "promote",
    "record_paper_parity",
    "review_day",
    "rollback",
    "standings",
]
