"""The lifecycle: a package from created over downloaded to activated."""
