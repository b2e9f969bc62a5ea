"""Analyses behind the judged claims, which only the study notebooks use.

Start at `trainings` (small trainings that are compared) or at the module of a claim.
"""
