"""Background jobs: DBOS does the queueing, this room starts it, watches over it and hides it."""
