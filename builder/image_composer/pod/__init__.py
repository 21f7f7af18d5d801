"""What runs in a builder pod beside the stages, and what the pod and the operator agree upon."""
