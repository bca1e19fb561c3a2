"""What is known about recordings: labels in time, speakers, languages."""
