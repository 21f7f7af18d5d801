"""Package repositories: signed metadata, the solver, and the lock that pins every package."""
