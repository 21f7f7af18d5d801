"""What each stage does, one module a stage. A step reads and writes one workspace; stages.py has their order."""
