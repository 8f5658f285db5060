import socket
import subprocess
import sys
import time
import urllib.request

from workbench.explorer.app import free_port
from workbench.explorer.nifti_view import BUNDLE


def test_a_taken_port_gives_another():
    with socket.socket() as busy:
        busy.bind(("127.0.0.1", 0))
        busy.listen()
        taken = busy.getsockname()[1]
        assert free_port("127.0.0.1", taken) not in (taken, 0)
    assert free_port("127.0.0.1", taken) == taken


def test_no_model_library_is_loaded(fake_runs):
    code = ("import sys; from workbench.explorer.app import build; build(sys.argv[1]); "
            "sys.exit(', '.join({'torch', 'monai', 'umap', 'sklearn', 'SimpleITK'} & set(sys.modules)) or None)")
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", code, str(fake_runs)], capture_output=True, text=True)
    assert done.returncode == 0, f"the explorer loads {done.stderr[-500:]}"


def test_serve_prints_its_address_and_admits_only_its_own_pages(fake_runs):
    code = "import sys; from workbench.explorer.app import serve; serve(sys.argv[1], port=0)"
    with subprocess.Popen([sys.executable, "-W", "ignore", "-c", code, str(fake_runs)], stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL, text=True) as process:
        try:
            line = process.stdout.readline()
            address = next(word for word in line.split() if word.startswith("http://localhost:"))
            body = _get(address)
            assert "VolTA workbench" in body
            port = int(address.split(":")[2].split("/")[0])
            assert _listens_on(port) == {"127.0.0.1"}
            assert " 101 " in _websocket(port, f"http://localhost:{port}")
            assert " 403 " in _websocket(port, "http://evil.example")
        finally:
            process.terminate()


def test_the_bundle_comes_with_its_licences():
    assert BUNDLE.is_file()
    for name in ("NIIVUE_LICENSE.txt", "BUNDLED_LICENSES.txt", "nifti_view.js", "build.js", "package.json"):
        assert (BUNDLE.parent / name).stat().st_size > 100
    assert "BSD 2-Clause" in (BUNDLE.parent / "NIIVUE_LICENSE.txt").read_text()


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
    request = (f"GET /explorer/ws HTTP/1.1\r\nHost: localhost:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
               f"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\nOrigin: {origin}\r\n"
               "Sec-WebSocket-Protocol: bokeh, x\r\n\r\n")
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        connection.sendall(request.encode())
        return connection.recv(4096).decode(errors="replace").splitlines()[0] + " "
