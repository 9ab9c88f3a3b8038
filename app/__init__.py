"""The program: flags, the run folder and tf.distribute live here. Start at main.py."""
