"""The tables as Peewee models: columns only. What may be written, and when, is in the modules beside this package."""

from paywindow.models.tables.buyers import Customer, PaymentMethod
from paywindow.models.tables.checks import (
    CardFinding,
    CardScan,
    EventWalk,
    Reconciliation,
    ReconciliationFinding,
    ReconciliationSeen,
)
from paywindow.models.tables.delivery import Notification, NotificationDelivery, Outbox, StripeEvent
from paywindow.models.tables.payments import Dispute, Refund, Transaction
from paywindow.models.tables.receipts import Receipt, ReceiptCounter, ReceiptDownload, ReceiptMaker
from paywindow.models.tables.sellers import ConnectedAccount, SellerMovement
from paywindow.models.tables.sessions import CheckoutAttempt, Operation, PaymentSession, Transition

__all__ = [
    "CardFinding",
    "CardScan",
    "CheckoutAttempt",
    "ConnectedAccount",
    "Customer",
    "Dispute",
    "EventWalk",
    "Notification",
    "NotificationDelivery",
    "Operation",
    "Outbox",
    "PaymentMethod",
    "PaymentSession",
    "Receipt",
    "ReceiptCounter",
    "ReceiptDownload",
    "ReceiptMaker",
    "Reconciliation",
    "ReconciliationFinding",
    "ReconciliationSeen",
    "Refund",
    "SellerMovement",
    "StripeEvent",
    "Transaction",
    "Transition",
]
