"""The exception whose message users read, and text that is safe to print."""


class XrdlibError(ValueError):
    """Bad input or a missing file; the message says what is wrong, where, and what to do."""


def printable(text: object) -> str:
    """The text with control characters replaced: no line breaks, no terminal commands."""
    return "".join(c if c.isprintable() else "?" for c in str(text))
