"""The 99 extinction groups, their graph, reflection conditions, unit cells and settings.

Start at `groups.extinction_groups`, `dag.subgroup_dag` and `cells.settings`.
"""
