"""Recipes that come with rmtools; installed as ``rmtools.pipelines``."""
