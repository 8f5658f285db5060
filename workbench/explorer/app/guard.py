"""Whom the server answers, and what its pages may load and run.

Text from data is escaped where it is shown. This is the second line: should some be forgotten, its scripts do not run
and its pictures ask nobody. Bokeh needs inline scripts and ``eval``, so those stay allowed; handlers within markup
(``onerror=…``), which is how markup from data would run, are not.
"""

from __future__ import annotations

from collections.abc import Collection
from html import escape
from typing import Any

from tornado.httputil import HTTPHeaders, HTTPServerRequest
from tornado.web import Application, OutputTransform, RequestHandler

POLICY = "; ".join(
    [
        "default-src 'self'",
        "script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:",
        "script-src-attr 'none'",
        "style-src 'self' 'unsafe-inline'",
        "img-src 'self' data: blob:",
        "font-src 'self' data:",
        "connect-src 'self' ws: wss: data: blob:",
        "worker-src 'self' blob:",
        "frame-src 'self' data: blob:",
        "object-src 'none'",
        "base-uri 'none'",
        "form-action 'none'",
    ]
)


def guard(application: Application, origins: Collection[str]) -> None:
    """Answer only who asks for one of ``origins`` (``host:port``), and send the policy with every answer.

    A name that somebody else's server resolves to this machine is no origin of ours: a page from there could otherwise
    read what is served here (DNS rebinding).
    """
    find: Any = application.find_handler

    def guarded(request: HTTPServerRequest, **more: Any) -> Any:
        if refused := refusal(request, origins):
            return application.get_handler_delegate(
                request, Refused, dict(zip(("status", "why"), refused, strict=True))
            )
        return find(request, **more)

    application.find_handler = guarded  # type: ignore[method-assign]
    application.add_transform(Policy)


def refusal(request: HTTPServerRequest, origins: Collection[str]) -> tuple[int, str] | None:
    """Status and reason, or None for a request that is answered."""
    if request.host.lower() not in {name for origin in origins for name in _names(origin)}:
        return 403, (
            f"This server does not answer to {request.host!r}. Open the address that it printed, or start it with "
            "--allow-origin HOST:PORT of the page that shows it."
        )
    for token in request.arguments.get("bokeh-token", []):
        try:
            from bokeh.util.token import get_session_id

            get_session_id(token.decode())
        except Exception:  # whatever somebody writes into an address
            return (
                400,
                "The address holds a token that is none of ours: open it without what follows the question mark.",
            )
    return None


def _names(origin: str) -> list[str]:
    """A browser leaves the usual port out."""
    host, _, port = origin.lower().rpartition(":")
    return [origin.lower(), host] if port in ("80", "443") else [origin.lower()]


class Refused(RequestHandler):
    def initialize(self, status: int, why: str) -> None:
        self._refused = status, why

    def prepare(self) -> None:
        status, why = self._refused
        self.set_status(status)
        self.finish(f"<!doctype html><title>{status}</title><p>{escape(why)}</p>")

    def check_xsrf_cookie(self) -> None:
        """Nothing is done here that anybody could forge."""


class Policy(OutputTransform):
    def transform_first_chunk(
        self, status_code: int, headers: HTTPHeaders, chunk: bytes, finishing: bool
    ) -> tuple[int, HTTPHeaders, bytes]:
        headers["Content-Security-Policy"] = POLICY
        headers["X-Content-Type-Options"] = "nosniff"
        headers["Referrer-Policy"] = "same-origin"
        return status_code, headers, chunk
