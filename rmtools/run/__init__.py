"""From a recipe to a finished dataset: stages, ledger, executors."""
