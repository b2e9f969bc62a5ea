"""Pattern files to numbers: `pattern` decides on the format, each other module reads some of them.

Start with `pattern.read_pattern`; `scans` holds the checks that every format goes through. A
function here raises `XrdlibError` where the content is damaged, too much, or of another kind; the
message goes on after "FILE: ", and tells what to do.
"""
