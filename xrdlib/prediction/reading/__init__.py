"""Pattern files to numbers: `pattern` decides on the format, each other module reads some of them.

Start with `pattern.read_pattern`; `scans` holds the checks that every format goes through.
"""
