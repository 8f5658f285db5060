"""The one error a user is meant to read: what happened, why, and what to do about it."""

import errno
import re
from collections.abc import Iterator
from contextlib import contextmanager


class WorkbenchError(Exception):
    """A refusal with its cause and its remedy.

    Args:
        what: What could not be done, with the file or name it concerns.
        cause: Why, in the terms of the user's data or settings.
        remedy: What the user can do now.

    ``exit_status`` is what the command line ends with.
    """

    exit_status = 2

    def __init__(self, what: str, *, cause: str = "", remedy: str = "") -> None:
        self.what, self.cause, self.remedy = what, cause, remedy
        lines = [what]
        if cause:
            lines.append(f"  cause:  {cause}")
        if remedy:
            lines.append(f"  remedy: {remedy}")
        super().__init__("\n".join(lines))

    def __reduce__(self):  # so that it survives the way back from a worker process
        return (_rebuild, (type(self), self.what, self.cause, self.remedy))


def _rebuild(kind: type[WorkbenchError], what: str, cause: str, remedy: str) -> WorkbenchError:
    error = kind.__new__(kind)
    WorkbenchError.__init__(error, what, cause=cause, remedy=remedy)
    return error


class ScanError(WorkbenchError):
    """One scan cannot be used. A cohort sets it aside and goes on."""


class ConfigError(WorkbenchError):
    """A setting is wrong, unknown, or contradicts a run that is already there."""


class RunsFailed(WorkbenchError):
    """Everything that could run has run, and some of it failed: not a refusal."""

    exit_status = 1


ROOM = "make room or choose another disk, then run the same command again; what was finished is kept"
RIGHT = "check the permissions there, or choose a folder of your own"
DISK = {
    errno.ENOSPC: ("no space is left on the disk", ROOM),
    errno.EDQUOT: ("the disk quota is used up", ROOM),
    errno.EFBIG: ("the file is larger than the disk or the limits of this account allow", ROOM),
    errno.EROFS: ("the file system is read-only", "choose another folder"),
    errno.EACCES: ("permission denied", RIGHT),
    errno.EPERM: ("operation not permitted", RIGHT),
    errno.ENAMETOOLONG: ("the name is too long", "choose a shorter one; most file systems take 255 bytes a name"),
    errno.ENOTDIR: ("a file stands where a folder is needed", "choose another name, or move the file away"),
    errno.EEXIST: ("something else stands in its place", "choose another name, or move it away"),
    errno.EISDIR: ("a folder stands where a file is needed", "move it away"),
    errno.EIO: ("the disk reports a fault", "check the disk and the cables or the server behind it"),
    errno.ESTALE: ("the file server has lost it", "wait for the server, then run the same command again"),
    errno.EMFILE: ("too many files are open", "raise `ulimit -n`, or use fewer --workers"),
    errno.ENFILE: ("too many files are open on this machine", "close other programs, then run it again"),
}
# what some libraries (safetensors, numpy, Arrow) leave of an error number
SAID = {
    "No space left on device": errno.ENOSPC,
    "Disk quota exceeded": errno.EDQUOT,
    "Read-only file system": errno.EROFS,
    r"\d+ requested and \d+ written": errno.ENOSPC,
}


def of_the_disk(error: BaseException, where: object) -> WorkbenchError | None:
    """A refusal with cause and remedy for what the disk says no to; None if the error is about something else.

    Args:
        error: Whatever was raised.
        where: What was being written; the error's own file name is told where it has one.
    """
    if isinstance(error, WorkbenchError):
        return None
    number = error.errno if isinstance(error, OSError) else None
    if number not in DISK:
        number = next((known for said, known in SAID.items() if re.search(said, str(error))), None)
    if number is None:
        return None
    cause, remedy = DISK[number]
    name = getattr(error, "filename", None) or where
    return WorkbenchError(f"{name}: cannot be read or written", cause=cause, remedy=remedy)


@contextmanager
def telling_the_disk(where: object) -> Iterator[None]:
    """Within the block, what the disk says no to becomes a refusal that a user can act on."""
    try:
        yield
    except Exception as error:
        if (refusal := of_the_disk(error, where)) is not None:
            raise refusal from error
        raise
