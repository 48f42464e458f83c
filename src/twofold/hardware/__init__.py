"""What Twofold computes on: device and precision, memory, random numbers of a device."""
