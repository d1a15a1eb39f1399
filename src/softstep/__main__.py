"""`python -m softstep`."""

from softstep.cli import main

raise SystemExit(main())
