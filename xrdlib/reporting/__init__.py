"""Tables, judged claims and figures, drawn from computed files.

Start at `report.summary`, `claims` and `gallery`.
"""
