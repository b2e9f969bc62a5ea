"""From a measured pattern to a printed answer; start with `reading.pattern.read_pattern`."""
