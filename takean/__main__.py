"""`python -m takean`."""

from takean.cli import main

main()
