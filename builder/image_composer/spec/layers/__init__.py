"""One document of several: references are followed, documents merged, variables filled in. Pure; docs/extends.md."""
