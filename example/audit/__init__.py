"""What is written down: chained entries of every use of a credential and every change (docs/identity.md)."""
