"""From a crystal to a powder pattern as a laboratory would measure it.

Start at `powder.simulate`; `stream.PatternStream` draws what networks learn from.
"""
