"""The subcommands of hw-xai: one thin file each, with add_arguments and run."""
