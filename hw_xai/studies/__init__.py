"""What a command, a notebook and a page share: arguments in, plain results out. No argparse, no printing."""
