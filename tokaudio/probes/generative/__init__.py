"""Tasks that make sound: scenes to learn from, models that predict tokens, and judges of what these decode to."""
