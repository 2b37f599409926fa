"""Looks whether everything that a restore needs is there, piece by piece, and says what to do about the rest."""
