"""`python -m bulk` is `bulk-trigger`."""

from bulk.cli import main

if __name__ == "__main__":
    main()
