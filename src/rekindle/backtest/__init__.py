"""What other policies would have cost on the same stream."""
