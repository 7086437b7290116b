"""Compares the product's pacing with that of other clients, in virtual time."""
