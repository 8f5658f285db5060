import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager

from workbench.explorer.app import page as app
from workbench.explorer.app.page import free_port
from workbench.explorer.viewer.nifti_view import BUNDLE


def test_a_taken_port_gives_another():
    with socket.socket() as busy:
        busy.bind(("127.0.0.1", 0))
        busy.listen()
        taken = busy.getsockname()[1]
        assert free_port("127.0.0.1", taken) not in (taken, 0)
    assert free_port("127.0.0.1", taken) == taken


def test_no_model_library_is_loaded(fake_runs):
    code = (
        "import sys; from workbench.explorer.app.page import build; build(sys.argv[1]); "
        "sys.exit(', '.join({'torch', 'monai', 'umap', 'sklearn', 'SimpleITK'} & set(sys.modules)) or None)"
    )
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", code, str(fake_runs)], capture_output=True, text=True)
    assert done.returncode == 0, f"the explorer loads {done.stderr[-500:]}"


def test_serve_prints_its_address_and_admits_only_its_own_pages(fake_runs):
    with _served(fake_runs) as (address, body):
        assert "VolTA workbench" in body
        assert "bokeh.min.js" in body and "mathjax" not in body
        port = int(address.split(":")[2].split("/")[0])
        assert _listens_on(port) == {"127.0.0.1"}
        assert " 101 " in _websocket(port, f"http://localhost:{port}")
        assert " 403 " in _websocket(port, "http://evil.example")


def test_a_session_without_a_page_asks_only_this_server_for_its_looks(fake_runs):
    """A browser that comes back after its session has ended gets a new one through the socket alone."""
    with _served(fake_runs) as (address, _):
        # in a process of its own: Bokeh's client runs an event loop, and so may the tests of the page
        done = subprocess.run([sys.executable, "-W", "ignore", "-c", SHEETS, address], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    sheets = done.stdout.split()
    assert len(sheets) > 3 and not [url for url in sheets if "//" in url]


SHEETS = """
import sys, panel.models.location, panel.models.tabulator, workbench.explorer.app.page
from bokeh.client import pull_session
from bokeh.models import ImportedStyleSheet
print(*{sheet.url for sheet in pull_session(url=sys.argv[1]).document.select({"type": ImportedStyleSheet})})
"""


def test_a_fault_of_our_own_is_a_page_that_says_so(fake_runs, monkeypatch, caplog):
    def broken(*_):
        raise RuntimeError("<script>nothing</script>")

    monkeypatch.setattr(app, "ScanView", broken)
    page = app.build(fake_runs)
    said = "".join(str(part.object) for part in page.main if hasattr(part, "object"))
    assert "could not be opened" in said and "&lt;script&gt;" in said and "<script>" not in said
    assert "nothing" in caplog.text  # and the terminal has the place


def test_the_bundle_comes_with_its_licences():
    assert BUNDLE.is_file()
    for name in ("NIIVUE_LICENSE.txt", "BUNDLED_LICENSES.txt", "nifti_view.js", "build.js", "package.json"):
        assert (BUNDLE.parent / name).stat().st_size > 100
    assert "BSD 2-Clause" in (BUNDLE.parent / "NIIVUE_LICENSE.txt").read_text()


@contextmanager
def _served(runs):
    """The explorer's address as ``serve`` prints it, and its page."""
    code = "import sys; from workbench.explorer.app.page import serve; serve(sys.argv[1], port=0)"
    with subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", code, str(runs)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        try:
            line = process.stdout.readline()
            address = next(word for word in line.split() if word.startswith("http://localhost:"))
            yield address, _get(address)
        finally:
            process.terminate()


def _get(address: str) -> str:
    for _ in range(100):
        try:
            with urllib.request.urlopen(address, timeout=60) as answer:
                return answer.read().decode()
        except OSError:
            time.sleep(0.2)
    raise AssertionError(f"{address} does not answer")


def _listens_on(port: int) -> set[str]:
    """Which of this machine's addresses take a connection at ``port``."""
    addresses = {"127.0.0.1", *(info[4][0] for info in socket.getaddrinfo(socket.gethostname(), None, socket.AF_INET))}
    open_at = set()
    for address in addresses:
        with socket.socket() as probe:
            probe.settimeout(2)
            if probe.connect_ex((address, port)) == 0:
                open_at.add(address)
    return open_at


def _websocket(port: int, origin: str) -> str:
    """First line of the answer to a websocket handshake from a page of ``origin``."""
    request = (
        f"GET /explorer/ws HTTP/1.1\r\nHost: localhost:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\nOrigin: {origin}\r\n"
        "Sec-WebSocket-Protocol: bokeh, x\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        connection.sendall(request.encode())
        return connection.recv(4096).decode(errors="replace").splitlines()[0] + " "
