"""The command line: typer, one small file per group of verbs, no logic."""
