"""The socket that a front end may have been started with."""

import os

import pytest

from paywindow.front import sockets


def test_without_the_protocols_variables_there_is_none() -> None:
    assert sockets.inherited({}) is None


def test_what_was_meant_for_another_process_is_left_alone_and_not_passed_on() -> None:
    environment = {"LISTEN_PID": "1", "LISTEN_FDS": "1", "PATH": "/bin"}

    assert sockets.inherited(environment) is None
    assert environment == {"PATH": "/bin"}


def test_several_sockets_are_refused() -> None:
    with pytest.raises(OSError, match="LISTEN_FDS is 2"):
        sockets.inherited({"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "2"})
