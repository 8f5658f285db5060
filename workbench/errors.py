"""The one error a user is meant to read: what happened, why, and what to do about it."""


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
