"""What lies in a run directory, and encoders from elsewhere."""
