"""Holds what no library does fast enough, in C that is called through ctypes; all works without it, more slowly."""
