"""`python -m tune_jobs`: the command line, for where its script is not on the path."""

from tune_jobs.cli import main

main()
