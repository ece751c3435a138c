"""What hangs for one name leaves room for the others."""

import pytest

from paywindow.lanes import Lanes


def test_a_lane_that_is_full_turns_away_and_others_do_not() -> None:
    lanes = Lanes(2)

    with lanes.enter("slow") as first, lanes.enter("slow") as second, lanes.enter("slow") as third:
        assert (first, second, third) == (True, True, False)
        with lanes.enter("other") as other:
            assert other


def test_who_leaves_makes_room_and_who_was_turned_away_does_not() -> None:
    lanes = Lanes(1)
    with lanes.enter("slow"):
        for _ in range(2):
            with lanes.enter("slow") as free:
                assert not free

    with pytest.raises(RuntimeError), lanes.enter("slow"):
        raise RuntimeError
    with lanes.enter("slow") as free:
        assert free
