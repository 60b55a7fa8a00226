"""The backend contract, run against the backends that are here, and against broken ones."""
