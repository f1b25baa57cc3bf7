"""``python -m featx``."""

from featx.cli.main import main

if __name__ == "__main__":
    main()
