"""A page that this process serves: who is let in, and who is not."""

from __future__ import annotations

import threading
import urllib.error
import urllib.request
from collections.abc import Iterable
from typing import Any
from wsgiref.util import setup_testing_defaults

import pytest

from tests.support.servers import free_port
from tune_jobs.actions.local_page import App, LocalPage
from tune_jobs.errors import SettingsError

PAGE = LocalPage(8080, "secret")
COOKIE = {"HTTP_COOKIE": "tune-jobs-8080=secret"}


def app(environ: dict[str, Any], start: Any) -> Iterable[bytes]:
    start("200 OK", [])
    return [b"there"]


def answer(guarded: App, **request: str) -> tuple[str, dict[str, str]]:
    """The status and headers of an answer."""
    environ: dict[str, Any] = {"HTTP_HOST": "127.0.0.1:8080"} | request
    setup_testing_defaults(environ)
    told: list[Any] = []
    list(guarded(environ, lambda *words: told.extend(words)))
    return told[0], dict(told[1])


def test_the_password_comes_with_the_address_and_then_in_a_cookie() -> None:
    guarded = PAGE.guard(app, only_reading=False)
    assert PAGE.address("/studies/1") == "http://127.0.0.1:8080/studies/1?password=secret"
    status, headers = answer(guarded, PATH_INFO="/studies/1", QUERY_STRING="password=secret")
    assert (status, headers["Location"]) == ("303 See Other", "/studies/1")
    cookie, *rules = headers["Set-Cookie"].split("; ")
    assert cookie == "tune-jobs-8080=secret"
    assert {"HttpOnly", "SameSite=Lax"} <= set(rules)
    assert answer(guarded, HTTP_COOKIE=cookie)[0] == "200 OK"
    assert answer(guarded, HTTP_COOKIE=f"other=1; {cookie}", REQUEST_METHOD="POST")[0] == "200 OK"


@pytest.mark.parametrize(
    "request_",
    [
        {},
        {"QUERY_STRING": "password=wrong"},
        {"QUERY_STRING": "password="},
        {"HTTP_COOKIE": "tune-jobs-8080=wrong"},
        {"HTTP_COOKIE": "tune-jobs-8081=secret"},
        {"HTTP_COOKIE": "\0;=,"},
    ],
)
def test_without_the_password_nobody_comes_in(request_: dict[str, str]) -> None:
    assert answer(PAGE.guard(app, only_reading=False), **request_)[0] == "401 Unauthorized"


def test_a_page_answers_to_its_own_name_alone() -> None:
    guarded = LocalPage(8080, None).guard(app, only_reading=False)
    assert answer(guarded, HTTP_HOST="localhost:8080")[0] == "200 OK"
    assert answer(guarded, HTTP_HOST="elsewhere.example:8080")[0] == "403 Forbidden"


def test_nothing_is_changed_where_studies_are_only_read() -> None:
    guarded = PAGE.guard(app, only_reading=True)
    assert answer(guarded, **COOKIE)[0] == "200 OK"
    assert answer(guarded, REQUEST_METHOD="DELETE", **COOKIE)[0] == "403 Forbidden"


def test_a_password_is_made_for_one_time_and_shown_nowhere_else() -> None:
    first, second = LocalPage.at(1, no_auth=False), LocalPage.at(1, no_auth=False)
    assert first.password != second.password
    assert str(first.password) not in repr(first)
    assert LocalPage.at(1, no_auth=True).address("/") == "http://127.0.0.1:1/"


def test_a_page_is_served_on_loopback_and_a_taken_port_is_named() -> None:
    page, ready = LocalPage(free_port(), None), threading.Event()

    def serve() -> None:
        page.serve(page.guard(app, only_reading=False), ready.set)

    threading.Thread(target=serve, daemon=True).start()
    assert ready.wait(20)
    with urllib.request.urlopen(page.address("/"), timeout=20) as opened:
        assert opened.read() == b"there"
    with pytest.raises(SettingsError, match=rf"port {page.port} of 127\.0\.0\.1 cannot be used .*--port"):
        page.serve(app, lambda: None)
