"""Failed payments are retried, within limits, without ever charging twice."""

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from stripe import HTTPClient

from paywindow import clock, ids, jsons, messages
from paywindow.actors.runtime import runtime
from paywindow.errors import StripeRefused, StripeUnavailable
from paywindow.models import database as db
from paywindow.models import windows
from paywindow.models.moves import Stale
from paywindow.models.tables import Notification, Operation, PaymentSession

DECLINED = "4000000000000002"
NO_FUNDS = "4000000000009995"
EXPIRED_CARD = "4000000000000069"
ASKS_FOR_3DS = "4000000000003220"


def retry_message(session, actor="payment.retry", client="buyer:somebody"):
    request = {"session_id": str(session.id), "reason": None}
    return messages.command(actor, ids.operation_id(client, None), client, ids.fingerprint(actor, request), request)


def answer_of(shop, message):
    [row] = shop.rows(Operation, Operation.id == message.kwargs["operation_id"])
    return jsons.loads(row.outcome)


def ask(shop, session, actor="payment.retry", client="buyer:somebody"):
    message = retry_message(session, actor, client)
    shop.run(message)
    shop.work()
    return answer_of(shop, message)


def open_pages(shop):
    return [page for page in shop.ledger()["sessions"] if page["status"] == "open"]


def decline(shop, session, card=DECLINED):
    shop.pay(session, card)
    shop.deliver()
    return shop.session(session.id)


def retry_by_timer(shop, session):
    session = shop.session(session.id)
    shop.pass_time(seconds=(session.retry_at - session.updated_at).total_seconds())
    shop.sweep()
    return shop.session(session.id)


def use_up(shop, session):
    """Have every payment declined until no retry is left, and the page closed."""
    session = decline(shop, session)
    while session.retry_at is not None:
        session = retry_by_timer(shop, session)
        session = decline(shop, session)
    shop.sweep()
    return shop.session(session.id)


def kill_page(shop, session):
    """The page dies at Stripe, and nobody hears of it."""
    runtime().gateway.expire_checkout(shop.checkout_id(session))


def events_of(shop, session):
    return [row.event for row in shop.transitions(session)]


def in_between(monkeypatch, call, step):
    """After the next ``call`` of the gateway, before its caller goes on, ``step`` happens once."""
    gateway = runtime().gateway
    real = getattr(gateway, call)

    def calling(*args: Any) -> Any:
        answer = real(*args)
        monkeypatch.setattr(gateway, call, real)
        step()
        return answer

    monkeypatch.setattr(gateway, call, calling)


def someone_waits_for_a_lock():
    """Whether a connection waits for a lock; asked inside a transaction."""
    return db.database.execute_sql("SELECT count(*) FROM pg_locks WHERE NOT granted").fetchone()[0] > 0


def tolerating_stale(shop, *copies):
    """Run messages at the same moment; one that finds the row changed under it is run again, as the broker would."""
    real = shop.run

    def run(message):
        try:
            real(message)
        except Stale:
            real(message)

    shop.run = run
    try:
        shop.together(*copies)
    finally:
        shop.run = real


class TestADecline:
    def test_leaves_a_failed_transaction_with_codes_and_a_text_for_the_buyer(self, shop):
        session = decline(shop, shop.open_session(), NO_FUNDS)

        [row] = shop.transactions(session)
        assert (row.status, row.failure_code, row.decline_code) == ("failed", "card_declined", "insufficient_funds")
        assert row.failure_reason == "The card does not have enough funds. Please use another card."
        assert session.failure_code == "insufficient_funds"
        shown = shop.snapshot(session, "buyer")
        assert shown["paymentSession"]["failure"]["message"] == row.failure_reason
        assert shown["attempts"][0]["declines"][0]["code"] == "insufficient_funds"
        assert shown["retry"]["canRetry"] is True

    def test_leaves_the_page_payable_and_a_second_card_completes_the_session(self, shop):
        session = decline(shop, shop.open_session())
        assert len(open_pages(shop)) == 1

        shop.pay(session)
        shop.deliver()

        session = shop.session(session.id)
        assert (session.status, session.retry_count, session.retry_at) == ("completed", 0, None)
        assert [row.status for row in shop.transactions(session)] == ["failed", "succeeded"]

    def test_after_another_on_the_same_page_adds_a_row_and_leaves_the_time_of_the_retry(self, shop):
        session = decline(shop, shop.open_session())
        retry_at = session.retry_at

        shop.pass_time(seconds=20)
        session = decline(shop, session, EXPIRED_CARD)

        assert (session.status, session.retry_at, session.failure_code) == ("failed", retry_at, "expired_card")
        assert [row.decline_code for row in shop.transactions(session)] == ["generic_decline", "expired_card"]

    @pytest.mark.parametrize(("backoff", "waits"), [("1,5,15", [1, 5, 15, 15, 15]), ("2", [2, 2, 2, 2, 2])])
    def test_waits_longer_each_time_and_beyond_the_list_as_long_as_its_last_entry_says(self, make_shop, backoff, waits):
        shop = make_shop(PAYMENT_RETRY_LIMIT="5", PAYMENT_RETRY_BACKOFF_MINUTES=backoff)
        session, found = shop.open_session(), []
        for _ in waits:
            session = decline(shop, session)
            found.append((session.retry_at - session.updated_at) / timedelta(minutes=1))
            session = retry_by_timer(shop, session)

        assert found == waits

    def test_of_a_page_that_was_replaced_is_kept_but_fails_nothing(self, shop):
        session = shop.open_session()
        shop.pay(session, DECLINED)
        shop.deliver()
        old_page = shop.checkout_id(session)
        shop.control(f"checkout/{old_page}/pay", card=NO_FUNDS)
        late = shop.event("payment_intent.payment_failed")

        assert ask(shop, session)["status"] == 200
        shop.deliver_event(late)
        shop.work()

        session = shop.session(session.id)
        assert (session.status, session.attempt_number) == ("pending", 2)
        assert len(shop.transactions(session)) == 2

    def test_that_is_told_only_after_a_delayed_payment_was_submitted_changes_nothing_of_it(self, make_shop):
        shop = make_shop(PAYMENT_METHOD_TYPES="card,us_bank_account")
        session = shop.open_session()
        shop.pay(session, DECLINED)
        shop.control(f"checkout/{shop.checkout_id(session)}/pay", method="us_bank_account")

        shop.tell("checkout.session.completed", "payment_intent.payment_failed")

        session = shop.session(session.id)
        assert (session.status, session.retry_at, session.failure_code) == ("processing", None, None)
        assert len(shop.transactions(session)) == 1


class TestTheTimer:
    def test_keeps_the_page_that_is_still_open_counts_and_reminds_the_buyer(self, shop):
        session = decline(shop, shop.open_session())
        page = shop.checkout_id(session)

        session = retry_by_timer(shop, session)

        assert (session.status, session.retry_count, session.attempt_number) == ("pending", 1, 1)
        assert [entry["id"] for entry in open_pages(shop)] == [page]
        [reminder] = shop.rows(Notification, Notification.type == "payment.retry_available")
        data = json.loads(reminder.payload)["data"]
        assert (data["status"], data["retryCount"]) == ("pending", 1)
        assert shop.transitions(session)[-1].who == "system:window.due"
        shop.pay(session)
        shop.deliver()
        assert shop.session(session.id).status == "completed"

    def test_settles_what_was_paid_meanwhile(self, shop):
        session = decline(shop, shop.open_session())
        shop.pay(session)

        session = retry_by_timer(shop, session)

        assert (session.status, session.retry_count) == ("completed", 0)
        assert [row.settled_at is not None for row in shop.transactions(session)] == [False, True]

    def test_waits_a_step_while_the_buyer_is_at_the_bank(self, shop):
        session = decline(shop, shop.open_session())
        shop.pay(session, ASKS_FOR_3DS)
        before = session.retry_at

        session = retry_by_timer(shop, session)

        assert (session.status, session.retry_count) == ("failed", 0)
        assert session.retry_at - before >= timedelta(minutes=1)
        shop.control(f"checkout/{shop.checkout_id(session)}/authenticate", passed=True)
        shop.deliver()
        assert shop.session(session.id).status == "completed"

    def test_replaces_a_dead_page_by_one_with_the_same_metadata_and_a_new_attempt_number(self, shop):
        session = decline(shop, shop.open_session())
        kill_page(shop, session)

        session = retry_by_timer(shop, session)

        assert (session.status, session.retry_count, session.attempt_number) == ("pending", 1, 2)
        assert shop.attempt(session).kind == "retry"
        old, new = (page["metadata"] for page in shop.ledger()["sessions"])
        assert new == {**old, "attempt": "2"}
        assert shop.notifications(session).count("payment.retry_available") == 1

    def test_retries_after_a_delayed_payment_that_did_not_come(self, make_shop):
        shop = make_shop(PAYMENT_METHOD_TYPES="card,us_bank_account")
        session = shop.open_session()
        page = shop.checkout_id(session)
        shop.control(f"checkout/{page}/pay", method="us_bank_account")
        shop.deliver()
        shop.control(f"checkout/{page}/settle", paid=False)
        shop.deliver()
        session = shop.session(session.id)
        assert (session.status, session.retry_at is not None) == ("failed", True)

        session = retry_by_timer(shop, session)

        assert (session.status, session.attempt_number, len(open_pages(shop))) == ("pending", 2, 1)

    def test_leaves_the_page_alone_and_comes_back_while_stripe_is_away(self, shop):
        session = decline(shop, shop.open_session())
        shop.pass_time(minutes=1)
        shop.fault("refuse_connection", times=100)
        shop.sweep()
        assert shop.session(session.id).retry_count == 0

        shop.mend()
        shop.pass_time(minutes=3)
        shop.sweep()

        assert (shop.session(session.id).status, shop.session(session.id).retry_count) == ("pending", 1)

    def test_run_twice_at_once_counts_one_retry(self, shop):
        session = decline(shop, shop.open_session())
        kill_page(shop, session)
        shop.pass_time(minutes=1)

        due = messages.build("window.due", session_id=str(session.id))
        tolerating_stale(shop, due, due)
        shop.work()

        session = shop.session(session.id)
        assert (session.retry_count, session.attempt_number, len(open_pages(shop))) == (1, 2, 1)

    def test_set_by_a_decline_is_not_overwritten_by_a_look_at_the_window_in_the_same_moment(self, shop, monkeypatch):
        session = shop.open_session()
        shop.pay(session, DECLINED)
        declined = messages.receive_event(json.dumps(shop.event("payment_intent.payment_failed")), clock.now())
        real, telling = windows.attend, threading.Thread(target=shop.run, args=(declined,))

        def attend(*args):
            monkeypatch.setattr(windows, "attend", real)
            telling.start()
            while telling.is_alive() and not someone_waits_for_a_lock():
                threading.Event().wait(0.01)
            real(*args)

        monkeypatch.setattr(windows, "attend", attend)
        shop.run(messages.build("window.due", session_id=str(session.id)))
        telling.join()

        session = shop.session(session.id)
        assert session.status == "failed"
        assert session.due_at == session.retry_at


class TestWhatIsPublished:
    """The version grows with everything that the public can see, so that nobody keeps looking at what is no longer so."""

    def test_shows_a_decline_of_a_page_that_was_replaced(self, shop):
        session = shop.open_session()
        shop.pay(session, DECLINED)
        shop.deliver()
        shop.pay(session, NO_FUNDS)
        late = shop.event("payment_intent.payment_failed")
        ask(shop, session)

        shop.deliver_event(late)
        shop.work()

        codes = [each["code"] for each in shop.snapshot(session)["attempts"][0]["declines"]]
        assert codes == ["generic_decline", "insufficient_funds"]
        assert shop.snapshot(session)["paymentSession"]["version"] == shop.session(session.id).version

    def test_shows_that_the_timer_waits_for_the_buyer_at_the_bank(self, shop):
        session = decline(shop, shop.open_session())
        shop.pay(session, ASKS_FOR_3DS)

        session = retry_by_timer(shop, session)

        assert shop.snapshot(session)["retry"]["retryAt"] == clock.isoformat(session.retry_at)

    def test_shows_that_a_page_is_dead(self, shop):
        session = decline(shop, shop.open_session())
        kill_page(shop, session)

        shop.deliver()

        assert shop.snapshot(session)["attempts"][0]["status"] == "closed"
        assert shop.snapshot(session)["paymentSession"]["stripeCheckoutUrl"] is None


class TestAfterTheLimit:
    def test_the_page_is_expired_the_session_stays_failed_and_its_window_closes_in_the_end(self, shop):
        session = use_up(shop, shop.open_session())

        assert (session.status, session.retry_count, session.retry_at) == ("failed", 3, None)
        assert open_pages(shop) == []
        retry = shop.snapshot(session)["retry"]
        assert (retry["canRetry"], retry["count"], retry["left"]) == (False, 3, 0)
        assert events_of(shop, session)[-1] == "retries_used_up"

        shop.pass_time(hours=24)
        shop.sweep()
        session = shop.session(session.id)
        assert (session.status, session.released_at is not None) == ("expired", True)

    def test_what_was_paid_on_the_page_before_it_could_be_expired_is_settled(self, shop):
        session = shop.open_session()
        for _ in range(3):
            session = retry_by_timer(shop, decline(shop, session))
        session = decline(shop, session)
        shop.pay(session)

        shop.sweep()

        assert shop.session(session.id).status == "completed"

    def test_a_grant_gives_one_more_try_which_the_timer_makes(self, shop):
        session = use_up(shop, shop.open_session())

        assert ask(shop, session, "payment.grant_retry", "admin")["status"] == 200
        shop.sweep()

        session = shop.session(session.id)
        assert (session.status, session.retry_count, session.retries_granted) == ("pending", 4, 1)
        assert len(open_pages(shop)) == 1
        assert "service:admin" in [row.who for row in shop.transitions(session)]
        session = decline(shop, session)
        shop.sweep()
        assert (shop.session(session.id).retry_count, open_pages(shop)) == (4, [])

    def test_a_grant_while_the_page_is_being_closed_is_not_forgotten(self, shop, monkeypatch):
        session = shop.open_session()
        for _ in range(3):
            session = retry_by_timer(shop, decline(shop, session))
        session = decline(shop, session)
        in_between(monkeypatch, "expire_checkout", lambda: shop.run(retry_message(session, "payment.grant_retry", "a")))

        shop.sweep()
        shop.pass_time(seconds=1)
        shop.sweep()

        session = shop.session(session.id)
        assert (session.status, session.retry_count) == ("pending", 4)
        assert len(open_pages(shop)) == 1


class TestTheBuyersRetry:
    def test_opens_a_new_page_closes_the_old_one_and_answers_with_it(self, shop):
        session = decline(shop, shop.open_session())
        [old] = open_pages(shop)

        outcome = ask(shop, session)

        assert outcome["status"] == 200, outcome
        session = shop.session(session.id)
        assert (session.status, session.retry_count, session.attempt_number) == ("pending", 1, 2)
        [page] = open_pages(shop)
        assert page["id"] != old["id"]
        assert outcome["body"]["paymentSession"]["stripeCheckoutUrl"] == page["url"]
        assert "buyer:somebody" in [row.who for row in shop.transitions(session)]

    def test_of_a_session_that_has_not_failed_is_refused(self, shop):
        assert ask(shop, shop.open_session())["body"]["code"] == "not_failed"

    def test_over_the_limit_is_refused(self, shop):
        session = use_up(shop, shop.open_session())

        outcome = ask(shop, session)

        assert (outcome["status"], outcome["body"]["code"]) == (409, "retry_limit_reached")

    def test_after_the_deadline_is_refused_before_and_after_the_window_is_closed(self, shop):
        session = decline(shop, shop.open_session(window_minutes=60))
        shop.pass_time(minutes=60)
        assert ask(shop, session)["body"]["code"] == "session_expired"

        shop.sweep()

        assert shop.session(session.id).status == "expired"
        assert ask(shop, session)["body"]["code"] == "session_expired"

    def test_of_a_paid_session_answers_with_the_payment(self, shop):
        session = shop.open_session()
        shop.pay(session)
        shop.deliver()

        body = ask(shop, session)["body"]

        assert (body["code"], body["paymentSession"]["status"]) == ("already_paid", "completed")

    def test_of_a_page_that_was_paid_meanwhile_settles_it_and_answers_with_the_payment(self, shop):
        session = decline(shop, shop.open_session())
        shop.pay(session)

        body = ask(shop, session)["body"]

        assert (body["code"], body["paymentSession"]["status"]) == ("already_paid", "completed")
        assert body["paymentSession"]["stripePaymentIntentId"]
        assert (shop.session(session.id).status, shop.session(session.id).retry_count) == ("completed", 0)

    def test_while_a_payment_is_processing_is_refused(self, make_shop):
        shop = make_shop(PAYMENT_METHOD_TYPES="card,us_bank_account")
        session = decline(shop, shop.open_session())
        shop.control(f"checkout/{shop.checkout_id(session)}/pay", method="us_bank_account")

        assert ask(shop, session)["body"]["code"] == "payment_processing"

    def test_while_a_new_page_is_being_opened_is_refused(self, shop, monkeypatch):
        monkeypatch.setattr(HTTPClient, "INITIAL_DELAY", 0)
        session = decline(shop, shop.open_session())
        shop.fault("500", method="POST", path_suffix="/sessions", times=2)
        first = retry_message(session)
        with pytest.raises(StripeUnavailable):
            shop.run(first)

        assert ask(shop, session)["body"]["code"] == "retry_under_way"

        shop.run(first)
        shop.work()
        assert answer_of(shop, first)["status"] == 200
        assert shop.session(session.id).retry_count == 1

    def test_of_a_canceled_session_is_refused(self, shop):
        session = shop.open_session()
        shop.cancel(session)

        assert ask(shop, session)["body"]["code"] == "session_canceled"

    def test_of_a_held_session_is_refused(self, shop):
        session = decline(shop, shop.open_session())
        with db.transaction():
            PaymentSession.update(hold_reason="paid_mismatched", hold_since=session.updated_at).execute()

        assert ask(shop, session)["body"]["code"] == "session_held"

    def test_of_no_session_is_refused(self, shop):
        session = shop.open_session()
        session.id = "00000000-0000-4000-8000-000000000000"

        assert ask(shop, session)["body"]["code"] == "not_found"

    def test_clicked_twice_at_once_makes_one_attempt(self, shop):
        session = decline(shop, shop.open_session())
        clicks = [retry_message(session) for _ in range(4)]

        tolerating_stale(shop, *clicks)
        shop.work()

        session = shop.session(session.id)
        assert (session.status, session.retry_count, session.attempt_number) == ("pending", 1, 2)
        assert len(open_pages(shop)) == 1
        answers = [answer_of(shop, click) for click in clicks]
        assert sum(answer["status"] == 200 for answer in answers) == 1
        refused = {answer["body"]["code"] for answer in answers if answer["status"] != 200}
        assert refused <= {"retry_under_way", "not_failed"}

    def test_whose_message_comes_twice_at_once_makes_one_attempt_and_one_answer(self, shop):
        session = decline(shop, shop.open_session())
        click = retry_message(session)

        tolerating_stale(shop, click, click)
        shop.work()

        session = shop.session(session.id)
        assert (session.retry_count, session.attempt_number, len(open_pages(shop))) == (1, 2, 1)
        assert answer_of(shop, click)["status"] == 200

    def test_overtaken_by_another_whose_new_page_was_declined_too_never_leaves_two_pages(self, shop, monkeypatch):
        session = decline(shop, shop.open_session())

        def another_click_and_another_decline():
            assert ask(shop, session)["status"] == 200
            decline(shop, session)

        in_between(monkeypatch, "expire_checkout", another_click_and_another_decline)
        slow = retry_message(session)
        with pytest.raises(Stale):
            shop.run(slow)
        shop.run(slow)
        shop.work()

        assert len(open_pages(shop)) == 1
        assert answer_of(shop, slow)["status"] == 200
        session = shop.session(session.id)
        assert (session.retry_count, session.attempt_number) == (2, 3)

    def test_works_in_the_last_minutes_and_its_page_dies_with_the_window(self, shop):
        session = decline(shop, shop.open_session(window_minutes=60))
        shop.pass_time(minutes=58)
        assert ask(shop, session)["status"] == 200

        shop.pass_time(minutes=2)
        shop.sweep()

        assert (shop.session(session.id).status, open_pages(shop)) == ("expired", [])

    def test_that_loses_to_the_timer_after_it_closed_the_page_is_followed_by_a_new_page(self, shop):
        session = decline(shop, shop.open_session())
        shop.pass_time(minutes=1, seconds=1)
        message = retry_message(session)
        shop.fault("hold_request", method="POST", path_suffix="/expire")
        with ThreadPoolExecutor() as pool:
            clicking = pool.submit(shop.run, message)
            shop.await_hold()
            shop.run(messages.build("window.due", session_id=str(session.id)))
            shop.control("holds/release")
            clicking.result()
        shop.work()
        assert answer_of(shop, message)["body"]["code"] == "not_failed"

        shop.sweep()  # no webhook tells that the page is dead

        [page] = open_pages(shop)
        assert shop.checkout_id(session) == page["id"]
        assert (shop.attempt(session).kind, shop.session(session.id).status) == ("roll", "pending")
        assert shop.session(session.id).retry_count == 1

    def test_of_a_page_that_is_paid_after_the_deadline_while_it_is_being_closed_gives_the_money_back(self, shop):
        session = decline(shop, shop.open_session(window_minutes=5))
        shop.pass_time(minutes=4, seconds=30)
        message = retry_message(session)
        shop.fault("hold_request", method="POST", path_suffix="/expire")
        with ThreadPoolExecutor() as pool:
            clicking = pool.submit(shop.run, message)
            shop.await_hold()
            shop.pass_time(minutes=1)
            shop.pay(session)
            shop.control("holds/release")
            clicking.result()
        shop.work()

        session = shop.session(session.id)
        assert (session.status, session.hold_reason, session.attempt_number) == ("failed", None, 1)
        assert [row.status for row in shop.transactions(session)] == ["failed", "refunded"]
        assert answer_of(shop, message)["body"]["code"] == "session_expired"

    def test_whose_page_was_closed_only_after_the_deadline_opens_no_other(self, shop):
        session = decline(shop, shop.open_session(window_minutes=5))
        shop.pass_time(minutes=4, seconds=30)
        message = retry_message(session)
        shop.fault("hold_reply", method="POST", path_suffix="/expire")
        with ThreadPoolExecutor() as pool:
            clicking = pool.submit(shop.run, message)
            shop.await_hold()
            shop.pass_time(minutes=1)
            shop.control("holds/release")
            clicking.result()
        shop.work()

        assert answer_of(shop, message)["body"]["code"] == "session_expired"
        assert open_pages(shop) == []
        shop.sweep()
        assert shop.session(session.id).status == "expired"


class TestStripeFailing:
    @pytest.fixture(autouse=True)
    def _at_once(self, monkeypatch):
        monkeypatch.setattr(HTTPClient, "INITIAL_DELAY", 0)  # the SDK's wait before it asks again

    @pytest.mark.parametrize(
        "fault",
        [
            {"kind": "500"},
            {"kind": "500_after_work"},
            {"kind": "timeout_after_work"},
            {"kind": "refuse_connection"},
            {"kind": "429"},
            {"kind": "429", "code": "lock_timeout"},
        ],
        ids=lambda fault: fault.get("code", fault["kind"]),
    )
    def test_is_tried_again_on_the_same_attempt_under_the_same_key(self, shop, fault):
        session = decline(shop, shop.open_session())
        shop.fault(**fault, method="POST", path_suffix="/sessions", times=2)
        click = retry_message(session)
        with pytest.raises(StripeUnavailable):
            shop.run(click)
        attempt = shop.attempt(session)
        assert (attempt.status, attempt.tries, attempt.number) == ("claimed", 1, 2)

        for _ in range(20):
            shop.pass_time(minutes=1)
            try:
                shop.sweep()
            except StripeUnavailable:
                continue  # a stored 500 is replayed for as long as the key lives
            if shop.attempt(session).status == "open":
                break

        after = shop.attempt(session)
        assert (after.id, after.idempotency_key, after.params) == (attempt.id, attempt.idempotency_key, attempt.params)
        if fault["kind"] != "500_after_work":
            assert after.status == "open"
            assert answer_of(shop, click)["status"] == 200
        assert shop.session(session.id).retry_count == 1
        assert len(shop.ledger()["sessions"]) == 2

    def test_waits_longer_each_time_with_jitter_and_a_cap(self, shop):
        session = shop.open_session()
        decline(shop, session)
        shop.fault("refuse_connection", times=1000)
        waits = []
        with pytest.raises(StripeUnavailable):
            shop.run(retry_message(session))
        # The page could not even be closed: nothing was counted or claimed.
        assert shop.session(session.id).retry_count == 0
        shop.mend()
        shop.fault("refuse_connection", method="POST", path_suffix="/sessions", times=1000)
        with pytest.raises(StripeUnavailable):
            shop.run(retry_message(session))
        opening = messages.build("checkout.open", attempt_id=str(shop.attempt(session).id))
        for _ in range(12):
            attempt = shop.attempt(session)
            before = clock.now()
            shop.run(opening)
            waits.append((shop.attempt(session).next_try_at - before).total_seconds())
            assert shop.attempt(session).tries == attempt.tries + 1

        assert waits[:5] == sorted(waits[:5])
        assert max(waits) <= 15 * 60 * 1.25 + 60
        assert len({round(wait) for wait in waits[-5:]}) > 1

    def test_for_as_long_as_stripe_keeps_keys_is_looked_up_not_posted_again(self, shop):
        session = decline(shop, shop.open_session(window_minutes=3 * 1440))
        shop.fault("timeout_after_work", method="POST", path_suffix="/sessions", times=2)
        with pytest.raises(StripeUnavailable):
            shop.run(retry_message(session))
        calls = shop.ledger()["calls"]
        page = shop.ledger()["sessions"][-1]

        shop.pass_time(hours=23, minutes=30)
        shop.sweep()

        after = shop.ledger()["calls"]
        assert len(shop.ledger()["sessions"]) == 2
        assert shop.attempt(session).stripe_checkout_id == page["id"]
        assert {name for name in after if after[name] != calls.get(name, 0)}.isdisjoint({"checkout.sessions.create"})

    def test_until_the_window_has_ended_is_a_window_that_closed_not_a_refusal(self, shop):
        session = decline(shop, shop.open_session(window_minutes=45))
        shop.fault("refuse_connection", method="POST", path_suffix="/sessions", times=2)
        click = retry_message(session)
        with pytest.raises(StripeUnavailable):
            shop.run(click)

        shop.pass_time(hours=10)
        shop.sweep()
        shop.sweep()

        session = shop.session(session.id)
        assert (session.status, session.released_at is not None) == ("expired", True)
        assert answer_of(shop, click)["body"]["code"] == "session_expired"
        assert open_pages(shop) == []

    def test_for_good_on_the_first_attempt_fails_it_with_its_code_and_releases_the_auction(self, shop):
        outcome = shop.create(shop.request(amount_minor=10))

        assert (outcome["status"], outcome["body"]["code"]) == (422, "stripe_refused")
        session = shop.session(outcome["body"]["sessionId"])
        self._is_refused(shop, session, outcome["body"]["stripeCode"])
        assert "auction.released" in shop.notifications(session)

    def test_for_good_on_a_retry_fails_it_with_its_code_and_releases_the_auction(self, shop, monkeypatch):
        session = decline(shop, shop.open_session())

        def refuse(*_: Any) -> Any:
            raise StripeRefused("Your account cannot make charges.", code="account_invalid", status=400)

        monkeypatch.setattr(runtime().gateway, "create_checkout", refuse)
        outcome = ask(shop, session)

        assert (outcome["status"], outcome["body"]["stripeCode"]) == (422, "account_invalid")
        session = shop.session(session.id)
        self._is_refused(shop, session, "account_invalid")
        assert open_pages(shop) == []

    def test_so_long_in_the_last_half_hour_that_the_parameters_grew_too_old_costs_nobody_the_auction(self, shop):
        session = shop.open_session()
        shop.pass_time(hours=23, minutes=40)
        session = decline(shop, session)
        message = retry_message(session)
        shop.fault("refuse_connection", method="POST", path_suffix="/sessions", times=1000)
        with pytest.raises(StripeUnavailable):
            shop.run(message)
        shop.mend()

        shop.pass_time(seconds=70)
        shop.sweep()

        session = shop.session(session.id)
        assert (session.status, session.released_at, session.retry_count) == ("pending", None, 1)
        [page] = open_pages(shop)
        assert (shop.attempt(session).kind, shop.checkout_id(session)) == ("roll", page["id"])
        answer = answer_of(shop, message)
        assert (answer["status"], answer["body"]["paymentSession"]["stripeCheckoutUrl"]) == (200, page["url"])

    def _is_refused(self, shop, session, code):
        assert (session.status, session.failure_code, session.released_at is not None) == ("failed", code, True)
        attempt = shop.attempt(session)
        assert (attempt.status, attempt.last_error is not None) == ("refused", True)
        assert shop.snapshot(session)["retry"]["canRetry"] is False
        shop.pass_time(hours=25)
        shop.sweep()
        assert shop.session(session.id).status == "failed"
        assert ask(shop, session)["body"]["code"] == "session_expired"
        assert ask(shop, session, "payment.grant_retry", "admin")["body"]["code"] == "session_expired"


def test_a_failed_session_whose_page_died_shows_no_link_to_it(shop):
    session = decline(shop, shop.open_session(window_minutes=3 * 1440))
    assert shop.snapshot(session, "buyer")["paymentSession"]["stripeCheckoutUrl"]

    kill_page(shop, session)
    shop.deliver()

    assert shop.snapshot(session, "buyer")["paymentSession"]["stripeCheckoutUrl"] is None
