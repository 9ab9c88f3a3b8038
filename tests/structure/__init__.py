"""The layout itself: who imports whom, what is installed, what stays light."""
