"""From a pattern to peaks, cells and known structures, without a network.

Start at `peaks.profile`, `index_cells.index` and `retrieval.Retrieval`.
"""
