"""What a run tells its user: metrics, TensorBoard, figures, progress, environment.

Nothing here trains: plain values come in, files and lines come out. Figures are drawn
from the run folder's own files, and so can be drawn again.
"""
