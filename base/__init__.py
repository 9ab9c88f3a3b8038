"""The ground floor: what every room may import, and which imports no room."""
