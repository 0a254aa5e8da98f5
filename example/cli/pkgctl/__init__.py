"""`pkgctl`: the service's command line. An HTTP client and nothing else; it imports nothing of the service."""
