"""Who is in which set: published splits by name and new ones, as manifests."""
