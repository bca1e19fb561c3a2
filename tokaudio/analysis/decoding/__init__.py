"""What codebooks do to the sound that is decoded from them."""
