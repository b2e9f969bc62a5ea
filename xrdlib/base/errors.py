"""The one exception that a person is meant to read, and what may be printed."""


class XrdlibError(ValueError):
    """Bad input or a missing file, told in one sentence: what, where, what to do."""


def printable(text: object) -> str:
    """A text that cannot break a line, nor do anything to a terminal."""
    return "".join(c if c.isprintable() else "?" for c in str(text))
