"""Where files lie: folders that appear whole or not at all (buckets come later)."""
