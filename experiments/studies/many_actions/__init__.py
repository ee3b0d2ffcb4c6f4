"""What the log of a loop takes whose requests list a few of very many actions."""
