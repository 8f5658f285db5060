"""The server answers to its own names alone, and its pages may run no handler from markup and ask nobody else."""

from __future__ import annotations

import asyncio

from tornado.httpclient import HTTPClientError, HTTPRequest
from tornado.testing import AsyncHTTPTestCase
from tornado.web import Application, RequestHandler

from workbench.explorer.app.guard import POLICY, guard


class Page(RequestHandler):
    def get(self) -> None:
        self.write("the page")


class TestGuard(AsyncHTTPTestCase):
    def setUp(self) -> None:
        # a browser test before this one leaves Playwright's loop marked as running in this thread
        self.others = asyncio._get_running_loop()
        asyncio._set_running_loop(None)
        super().setUp()

    def tearDown(self) -> None:
        super().tearDown()
        asyncio._set_running_loop(self.others)

    def get_app(self) -> Application:
        application = Application([("/explorer", Page)])
        guard(application, [f"localhost:{self.get_http_port()}", "brain.example.org:443"])
        return application

    def ask(self, path: str, host: str) -> tuple[int, str, str]:
        request = HTTPRequest(self.get_url(path), headers={"Host": host})
        try:
            answer = self.io_loop.run_sync(lambda: self.http_client.fetch(request))
        except HTTPClientError as error:
            assert error.response is not None
            answer = error.response
        return answer.code, answer.body.decode(), answer.headers.get("Content-Security-Policy", "")

    def test_its_own_names_are_answered_with_the_policy(self) -> None:
        for host in (f"localhost:{self.get_http_port()}", "brain.example.org", "Brain.Example.org:443"):
            assert self.ask("/explorer", host) == (200, "the page", POLICY)

    def test_another_name_is_refused(self) -> None:
        for host in ("evil.example.org", "localhost", "localhost:1"):
            status, body, policy = self.ask("/explorer", host)
            assert status == 403 and "--allow-origin" in body and policy == POLICY

    def test_a_token_that_is_none_is_refused_and_not_a_fault(self) -> None:
        for token in ("abc", "", "%FF%FE", "a.b", "e30.e30", "x" * 5000):
            status, body, _ = self.ask(f"/explorer?bokeh-token={token}", "brain.example.org")
            assert status == 400 and "token" in body
