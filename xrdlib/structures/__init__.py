"""Crystal structures: known ones from data sets, random ones of every group.

Start at `datasets.fetch`, `structure_library.build` and `crystals.random_crystals`.
"""
