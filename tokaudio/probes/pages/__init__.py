"""The leaderboard as an HTML file that opens from disk."""
