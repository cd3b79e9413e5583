"""The one family of errors that a user is meant to read: what, where, what to do."""


class AnalyzerError(Exception):
    """Something that could not be done, said in one sentence; the command line exits with 2."""


class ReorganisedError(AnalyzerError):
    """The chain took another way while it was read; what was stored before can be gone back to."""


class Revert(Exception):  # noqa: N818  the contract's own word
    """The contract would revert here, with this reason: an answer, not a failure of ours."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason
