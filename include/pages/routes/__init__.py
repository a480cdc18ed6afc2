"""The addresses of the pages, by theme."""
