"""What the document wants of the running system: a module a concern, each from its part of the document to changes."""
