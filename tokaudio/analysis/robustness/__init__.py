"""How codes change when the sound changes and should not matter."""
