"""The one exception that a person is meant to read."""


class XrdlibError(ValueError):
    """Bad input or a missing file, told in one sentence: what, where, what to do."""
