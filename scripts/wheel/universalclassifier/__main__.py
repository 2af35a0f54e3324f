"""``python -m universalclassifier`` is ``uc``."""

from ._binary import main

if __name__ == "__main__":
    main()
