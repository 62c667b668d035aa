"""Where data is read from and models are written to: one place for addresses, credentials and what stores answer."""
