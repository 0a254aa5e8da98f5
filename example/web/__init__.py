"""The web adapter: says over HTTP what the domains do. Parses, authorises, calls one verb, renders."""
