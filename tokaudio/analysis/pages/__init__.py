"""Results as HTML files that open from disk."""
