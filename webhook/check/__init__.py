"""`evenkeel check`: looks at a cluster before or after installation and names what is wrong, each with its remedy."""
