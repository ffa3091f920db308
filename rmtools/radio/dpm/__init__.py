"""The embedded Dominant Path Model."""
