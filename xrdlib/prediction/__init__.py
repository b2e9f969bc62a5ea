"""From a measured pattern to a printed answer: network, retrieval and indexing together.

Start at `predictor.load_predictor`; `reading` turns pattern files into numbers, `answer` says all
that can be said of one pattern.
"""
