"""From a scene to vehicle tracks: the drivable field, seeding, and the vehicle engine."""
