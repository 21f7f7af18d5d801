"""Everything that touches a private key: only the stage `attest` uses it, and nothing that it writes holds the key."""
