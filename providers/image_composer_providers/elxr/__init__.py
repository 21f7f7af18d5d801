"""Wind River eLxr 12 and 13."""
