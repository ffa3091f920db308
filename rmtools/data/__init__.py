"""Real data that comes with the package: a small OpenStreetMap extract of central Helsinki."""
