"""A winner pays, the money is recorded, a receipt comes out."""


def test_a_paid_page_settles_its_session(shop):
    session = shop.open_session()

    shop.pay(session)
    shop.deliver()

    session = shop.session(session.id)
    assert session.status == "completed"
    (transaction,) = shop.transactions(session)
    assert (transaction.status, transaction.amount_minor, transaction.currency) == ("succeeded", 27550, "USD")
    assert transaction.settled_at is not None
    print(shop.snapshot(session))
