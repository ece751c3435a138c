"""Disputes, as Stripe has them now.

``disputes.read`` (outbox of each ``charge.dispute.*``): the dispute is read, and what is new about it recorded; operators and the
marketplace are told with the deadline for evidence (``payment.disputed``), and the seller's share follows the money. The session
keeps its status: a dispute is about its transaction. A second run reads the same, finds nothing new, and tells nobody.
"""

import logging
import uuid

from paywindow import clock, metrics
from paywindow.actors.registry import actor
from paywindow.actors.runtime import runtime
from paywindow.clock import isoformat
from paywindow.disputes import read_dispute
from paywindow.errors import Transient
from paywindow.models import disputes, moves, notifications, outbox
from paywindow.models.database import transaction
from paywindow.models.tables import Dispute, PaymentSession, Transaction

logger = logging.getLogger(__name__)

#: How often a look at Stripe is repeated because something was told meanwhile, before the queue tries again later.
LOOKS = 3


@actor("disputes.read")
def read(dispute_id: str, outbox_id: int | None = None) -> None:
    """Read a dispute from Stripe, and do what follows from it."""
    for _ in range(LOOKS):
        if _look(uuid.UUID(dispute_id), outbox_id):
            return
    raise Transient(f"dispute {dispute_id} keeps changing")


def _look(identifier: uuid.UUID, outbox_id: int | None) -> bool:
    with transaction():
        row: Dispute = Dispute.get_by_id(identifier)
        paid: Transaction = Transaction.get_by_id(row.transaction_id)
    found = read_dispute(runtime().gateway.retrieve_dispute(row.stripe_dispute_id))
    with transaction():
        session = moves.lock_session(paid.session_id)
        if session is None:
            raise Transient(f"transaction {paid.id} has no session")
        before: Dispute = Dispute.get_by_id(identifier)
        written = disputes.write(row, found, clock.now())
        if written is None:
            return False
        news = disputes.news(written)
        if news is not None:
            _announce(session, written, news)
        outbox.done(outbox_id)
    if news is not None:
        _report(session, before, written)
    return True


def _announce(session: PaymentSession, dispute: Dispute, news: str) -> None:
    at = clock.now()
    disputes.tell(dispute, news)
    notifications.announce("payment.disputed", session, at, dispute=disputes.public(dispute))
    moves.touch(session.id, at)


def _report(session: PaymentSession, before: Dispute, now: Dispute) -> None:
    """Tell the operators, once the facts are committed: by the log and by the metrics."""
    deadline = isoformat(now.evidence_due_at) if now.evidence_due_at and not now.closed_at else None
    facts = {
        "session_id": str(session.id),
        "stripe_dispute_id": now.stripe_dispute_id,
        "dispute_status": now.status,
        "dispute_reason": now.reason,
        "evidence_due_by": deadline,
    }
    logger.warning("payment disputed: %s; evidence is due by %s", now.status, deadline or "no date", extra=facts)
    if before.told is None or before.status != now.status:
        metrics.DISPUTES.labels(now.status).inc()
    if now.fee_minor and (before.told is None or before.fee_minor != now.fee_minor):
        metrics.DISPUTE_FEES.labels(now.balance_currency).inc(now.fee_minor)
