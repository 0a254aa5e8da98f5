"""The benchmark of the service (``python -m bench``, ``make bench``): what issue 2 promises about speed, measured.

Every figure is a ratio to a reference measured in the same run, in turns. docs/benchmarks.md says how, and what came out.
"""
