"""A file from the visitor, taken in pieces and refused as soon as it can be known that it is too large."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from weakref import WeakSet

import panel as pn
import param
from panel.custom import JSComponent

from workbench.errors import ScanError, WorkbenchError
from workbench.explorer.own.own_scan import MAX_UPLOAD, Own, check_start, read_own, show_name

MAX_BEGUN = 4 * MAX_UPLOAD  # bytes of all visitors' files that are not whole yet: a page may be left open
_begun: WeakSet[Upload] = WeakSet()  # of all sessions


class Upload(JSComponent):
    """A drop zone. Nothing is written to disk; what is taken is handed to ``on_scan`` and then forgotten here."""

    max_bytes = param.Integer(default=MAX_UPLOAD, doc="The browser says no before it sends; the server checks again.")
    taken = param.Integer(default=-1, doc="Bytes the server has of the file; the next piece may come.")
    said = param.String(default="Read in memory, written nowhere. At most 300 MB.", doc="What became of the file.")

    _esm = Path(__file__).with_name("upload.js")

    def __init__(self, on_scan: Callable[[Own], None], **params: Any) -> None:
        super().__init__(**params)
        self._on_scan = on_scan
        self._name, self._size, self._parts = "", 0, bytearray()
        _begun.add(self)

    def _handle_msg(self, data: Any) -> None:
        """A piece. Everything in it comes from a browser that may be anybody's."""
        try:
            self._take(data)
        except WorkbenchError as error:
            self._forget()
            self.said = str(error)
        except Exception as error:
            self._forget()
            self.said = f"This message was not understood ({type(error).__name__}): load the page again."

    def _take(self, data: Any) -> None:
        name, size = show_name(data["name"]), int(data["size"])
        if data["kind"] != "piece" or not 0 < size <= self.max_bytes:
            raise ScanError(
                f"{name}: the file is too large" if size > 0 else f"{name}: the file is empty",
                cause=f"{size / 1e6:.1f} MB; the limit is {self.max_bytes / 1e6:.0f} MB",
                remedy="compress it (.nii.gz), resample it, or copy it again",
            )
        if sum(len(one._parts) for one in _begun if one is not self) + size > MAX_BEGUN:
            raise ScanError(
                f"{name}: others are sending scans now",
                cause=f"all together may have {MAX_BEGUN / 1e6:.0f} MB on their way",
                remedy="try it again in a minute",
            )
        at, piece = int(data["at"]), data["data"]
        if not isinstance(piece, bytes | bytearray | memoryview):
            raise TypeError("no bytes")
        if at == 0:
            self._forget()
            self._name, self._size = name, size
            check_start(name, size, bytes(piece))  # before more is taken
        if (name, size, at) != (self._name, self._size, len(self._parts)) or at + len(piece) > size or not len(piece):
            raise ScanError(
                f"{name}: the pieces do not fit together",
                cause="another file was begun meanwhile",
                remedy="choose it again",
            )
        self._parts += piece
        if len(self._parts) < size:
            self.param.update(taken=len(self._parts), said=f"{name}: {len(self._parts) / size:.0%}")
            return
        content = bytes(self._parts)
        self._forget()
        document = pn.state.curdoc
        if document is None:  # nobody else waits
            self._end(_read(name, content))
            return
        self.said = f"{name}: unpacking"

        def work() -> None:  # aside: unpacking takes seconds, in which every other visitor's page would stand still
            found = _read(name, content)
            document.add_next_tick_callback(lambda: self._end(found))

        _aside.submit(work)

    def _end(self, found: Own | str) -> None:
        if isinstance(found, str):
            self.said = found
            return
        self.said = f"{found.name}: {' × '.join(map(str, found.volume.data.shape))} voxels, read."
        self._on_scan(found)

    def _forget(self) -> None:
        self._name, self._size, self._parts = "", 0, bytearray()
        self.taken = -1


_aside = ThreadPoolExecutor(2, thread_name_prefix="upload")  # two at a time: each holds a scan


def _read(name: str, content: bytes) -> Own | str:
    """The scan, or why there is none."""
    try:
        return read_own(name, content)
    except WorkbenchError as error:
        return str(error)
    except MemoryError:
        return f"{name}: there is too little memory here for it now; try again later."
