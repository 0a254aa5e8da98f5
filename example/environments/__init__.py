"""Environments: where packages are live, as generations that are switched atomically and can always be switched back to."""
