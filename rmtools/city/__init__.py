"""From OpenStreetMap or a RadioMapSeer folder to scenes and their rasters."""
