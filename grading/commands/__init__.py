"""One file a subcommand of hw-grade."""
