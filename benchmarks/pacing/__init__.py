"""Measures how well the product paces, side by side with other clients, in virtual time."""
