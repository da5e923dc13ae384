"""A page of another program that this process serves on 127.0.0.1 for one user.

Every user of a machine reaches 127.0.0.1, and so does a web page that names it otherwise. So a page asks for a password
that is made for one time, and answers only to its own name.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from http.cookies import CookieError, SimpleCookie
from socketserver import ThreadingMixIn
from typing import Any
from urllib.parse import parse_qs
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from tune_jobs.errors import SettingsError

App = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]
Answer = tuple[str, list[tuple[str, str]], str]
_ASKED = "password"  # the part of an address that has it
_READING = ("GET", "HEAD")


@dataclass(frozen=True)
class LocalPage:
    """Where a page is, and its password; None if it asks for none.

    The password comes with the address that is printed, and then in a cookie: pages fetch nothing from an address that
    has a login before the host.
    """

    port: int
    password: str | None = field(repr=False)

    @classmethod
    def at(cls, port: int, *, no_auth: bool) -> LocalPage:
        return cls(port, None if no_auth else secrets.token_urlsafe(16))

    def address(self, path: str) -> str:
        """Return the address of a path, which begins with a slash, with the password."""
        return f"http://127.0.0.1:{self.port}{path}" + ("" if self.password is None else f"?{_ASKED}={self.password}")

    def guard(self, app: App, *, only_reading: bool) -> App:
        """Return the application behind the password, for requests to this machine by its own name."""

        def guarded(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
            answer = self._answer(environ, only_reading=only_reading)
            if answer is None:
                return app(environ, start)
            status, headers, text = answer
            start(status, [("Content-Type", "text/plain"), ("Cache-Control", "no-store"), *headers])
            return [text.encode()]

        return guarded

    def _answer(self, environ: Mapping[str, Any], *, only_reading: bool) -> Answer | None:
        """Return the status, headers and text of an answer that the application is not asked for; None if it is."""
        if environ.get("HTTP_HOST") not in (f"127.0.0.1:{self.port}", f"localhost:{self.port}"):
            return "403 Forbidden", [], "this page is for 127.0.0.1 alone"
        if only_reading and environ.get("REQUEST_METHOD") not in _READING:
            return "403 Forbidden", [], "studies can only be read here"
        if self.password is None or self._is_password(self._cookie(environ)):
            return None
        (asked,) = parse_qs(str(environ.get("QUERY_STRING", ""))).get(_ASKED, [""])[:1]
        if not self._is_password(asked):
            return "401 Unauthorized", [], "open the address that was printed: it has the password"
        cookie = f"{self._cookie_name}={self.password}; Path=/; HttpOnly; SameSite=Lax"
        return "303 See Other", [("Set-Cookie", cookie), ("Location", str(environ.get("PATH_INFO", "/")))], ""

    @property
    def _cookie_name(self) -> str:
        return f"tune-jobs-{self.port}"  # a browser sends the cookies of a host to all its ports

    def _cookie(self, environ: Mapping[str, Any]) -> str:
        try:
            found = SimpleCookie(str(environ.get("HTTP_COOKIE", ""))).get(self._cookie_name)
        except CookieError:
            return ""
        return "" if found is None else found.value

    def _is_password(self, text: str) -> bool:
        return hmac.compare_digest(text.encode(), str(self.password).encode())

    def serve(self, app: App, ready: Callable[[], object]) -> None:
        """Serve an application until Ctrl-C; `ready` is called once it can be asked.

        Raises:
            SettingsError: the port is taken.
        """
        try:
            server = make_server("127.0.0.1", self.port, app, _Server, _SilentHandler)
        except OSError as error:
            raise port_taken(self.port, error) from error
        with server:
            ready()
            server.serve_forever()


def port_taken(port: int, error: OSError) -> SettingsError:
    return SettingsError(f"port {port} of 127.0.0.1 cannot be used ({error.strerror}): name another with --port")


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True  # a browser keeps connections open that it does not use


class _SilentHandler(WSGIRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name there
        pass
