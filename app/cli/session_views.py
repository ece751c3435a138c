"""How sessions look on a terminal."""

from typing import Any

from paywindow.cli.output import Column, facts, heading, note, say, table, when

_LIST = (
    Column("session"),
    Column("status"),
    Column("amount", right=True),
    Column("pay until"),
    Column("auction", optional=True),
    Column("created", optional=True),
    Column("held for", optional=True),
)


def print_list(body: dict[str, Any]) -> None:
    """A page of sessions, and how to get the next one."""
    rows = [
        (
            session["id"],
            "held" if session["hold"] else session["status"],
            f"{session['amount']} {session['currency']}",
            when(session["expiresAt"])[:16],
            session["auctionId"],
            when(session["createdAt"])[:16],
            session["hold"] and session["hold"]["reason"],
        )
        for session in body["paymentSessions"]
    ]
    table(_LIST, rows, empty="There are no such payment sessions.")
    if body["nextCursor"]:
        note(f"\nThere are more: --cursor {body['nextCursor']}")


def print_report(report: dict[str, Any]) -> None:
    """All about one session."""
    session = report["session"]
    facts(
        {
            "session": session["id"],
            "status": session["status"],
            "held": _held(session),
            "amount": f"{session['amount']} {session['currency']}",
            "for": session["description"],
            "auction": session["auctionId"],
            "buyer": session["buyerId"],
            "maker": session["makerId"],
            "created": when(session["createdAt"]),
            "pay until": when(session["expiresAt"]),
            "page": session["stripeCheckoutUrl"],
        }
    )
    print_timeline(report["timeline"])


def print_timeline(entries: list[dict[str, Any]]) -> None:
    """What happened, under the day on which it happened."""
    heading("Timeline (UTC)")
    if not entries:
        say("Nothing is recorded.")
        return
    columns = (Column("time"), Column("what"), Column("who"), Column("happened", folds=True))
    day, rows = "", list[tuple[str, ...]]()
    for entry in entries:
        date, _, time = when(entry["at"]).partition(" ")
        if date != day:
            day = date
            rows.append((date, "", "", ""))
        rows.append((time, entry["what"], entry["who"] or "", _sentence(entry)))
    table(columns, rows, empty="", header=False)


def _held(session: dict[str, Any]) -> str | None:
    hold = session["hold"]
    return f"{hold['reason']}, since {when(hold['since'])}" if hold else None


def _sentence(entry: dict[str, Any]) -> str:
    return f"{entry['text']}: {entry['why']}" if entry["why"] else str(entry["text"])
