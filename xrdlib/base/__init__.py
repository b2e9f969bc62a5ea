"""What everything stands on: paths, configuration, files, records, pattern grids, provenance.

Start at `config.load` (params.yaml) and `patterns.to_grid` (any pattern on the common grid).
"""
