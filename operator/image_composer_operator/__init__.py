"""The operator: watches ImageBuilds and runs a builder pod for each."""
