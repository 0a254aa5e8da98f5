"""Rate limits: who may call how often, counted by sliding windows."""
