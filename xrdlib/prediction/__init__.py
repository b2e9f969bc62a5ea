"""From a measured pattern to a printed answer: network, retrieval and indexing together.

Start at `predictor.load_predictor`; `reading` turns pattern files into numbers, `answer` states the
results for one pattern.
"""
