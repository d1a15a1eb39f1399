"""Entry point of `python -m softstep`, the same as the `softstep` command."""

from softstep.cli.main import main

raise SystemExit(main())
