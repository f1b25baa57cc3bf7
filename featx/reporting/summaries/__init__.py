"""What a command prints when it is done."""
