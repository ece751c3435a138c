"""``paywindow backfill``: publish what Redis held, all at once, after it was wiped.

Nothing is lost without it. A status that is asked for and missing is published then; ``sweeps.window_mirror`` restores the
windows' remaining times within a minute; messages are sent again by the sweeps; events that never came are read from Stripe's
list. But after a wipe every open page asks at the same moment, and each miss costs a message: this spares them that. What
differs between the books and Stripe is the matter of ``paywindow reconcile``.
"""

from datetime import timedelta
from typing import Annotated, Any

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from paywindow import clock
from paywindow.cli.connections import open_redis, read_database
from paywindow.cli.output import AsJson, console, emit, say
from paywindow.settings import Role

_PAGE = 200


def backfill(
    days: Annotated[int, typer.Option(min=0, help="Finished sessions too, if they were created in the last days.")] = 3,
    as_json: AsJson = False,
) -> None:
    """Publish the snapshots and remaining times of all open sessions again, after Redis was wiped.

    Safe at any time: what is there and newer stays. It needs the workers' settings.
    """
    settings = read_database(Role.WORKER)
    from paywindow.models import backfill as sessions
    from paywindow.models import database, outbox
    from paywindow.models.snapshots import snapshot
    from paywindow.models.tables import PaymentSession
    from paywindow.published import Publisher

    publisher = Publisher(open_redis(settings.state_url))
    since = clock.now() - timedelta(days=days)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    published = 0
    with Progress(*columns, console=console(stderr=True), disable=as_json) as progress:
        task = progress.add_task("sessions", total=sessions.count(since))
        for page in sessions.pages(since, _PAGE):
            rows = page
            while rows:
                with database.transaction():
                    found = {row.id: snapshot(row, settings) for row in rows}
                for session_id, each in found.items():
                    publisher.session(session_id, each)
                with database.transaction():
                    newer = outbox.done_if_published({session_id: each.version for session_id, each in found.items()})
                    rows = list(PaymentSession.select().where(PaymentSession.id.in_(newer))) if newer else []
            published += len(page)
            progress.advance(task, len(page))
    body: dict[str, Any] = {"published": published}
    emit(body, as_json, lambda: say(f"{published} sessions are published"))
