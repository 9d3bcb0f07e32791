"""What happened, told to others: the embedded bus, and delivery from the outbox."""
