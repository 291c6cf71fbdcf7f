"""The one error that a user is meant to read."""


class LookalikeError(Exception):
    """Bad input, in a sentence.

    Args:
        what: what is wrong.
        where: the file, config key or row.
        fix: what to do about it.
    """

    def __init__(self, what: str, where: str, fix: str) -> None:
        super().__init__(what, where, fix)  # as they are, so that it survives the way out of a worker process

    def __str__(self) -> str:
        return "{} ({}). {}".format(*self.args)
