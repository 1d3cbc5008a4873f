"""The subcommands of hw-xai: each module adds its arguments and runs."""
