"""`python -m softstep`."""

from softstep.cli.main import main

raise SystemExit(main())
