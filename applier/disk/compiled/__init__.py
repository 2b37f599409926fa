"""What is written in C because no library does it, called through ctypes; all of it can be done without, slower."""
