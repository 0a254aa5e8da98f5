"""Identity: who calls, with which token, and what they may do."""
