"""What codes say by themselves, without their sound."""
