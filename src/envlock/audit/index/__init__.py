"""What each wheel's code provides and asks for, read without unpacking or running it."""
