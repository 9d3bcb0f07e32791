"""Models at rest: bundles on disk, and the registry of their versions and aliases."""
