"""`pkgctl`, driven as people drive it, against a small real server."""
