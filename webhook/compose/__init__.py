"""Where objects meet: what each long-running command consists of."""
