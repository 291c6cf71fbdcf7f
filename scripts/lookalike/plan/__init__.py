"""What a config will cost before anything runs: jobs, hours, memory, storage and wall time. `python -m lookalike.plan --help`.

The jobs are those of a dry run of Snakemake (jobs.py), how many images each handles follows from the config and the number of images that the user tells
(counts.py), what a network costs is counted on its own layers without values (networks.py), and the table of seconds and bytes a unit is costs.py.
"""
